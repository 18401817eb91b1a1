"""The status page: parts, champion, freshness, degradation, dead letters, links."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from feature_store.topics import INPUTS
from serving.settings import ServingSettings
from tests.unit.serving.world import CUT, HISTORY, World, publish_bundle, recent, trending
from tests.web.conftest import served, stocked_world

LINKS = {"Flink": "http://flink.example/", "MLflow": "http://mlflow.example/"}


@pytest.fixture
def shop(tmp_path: Path) -> World:
    """A shop that lacks nothing."""
    rules = ServingSettings(refresh_s=60, links=LINKS)
    shop = stocked_world(tmp_path / "shelf", rules)
    shop.registry.points_to = next(path for path in shop.root.iterdir() if path.is_dir())
    publish(shop)
    shop.parts.champion.turn()
    shop.parts.dead_letters.turn()
    return shop


@pytest.fixture
def status(tab: Page, shop: World) -> Iterator[Page]:
    """Its status page."""
    with served(shop) as address:
        tab.goto(f"{address}/status")
        tab.wait_for_selector("#parts li")
        yield tab


def publish(shop: World, seconds_ago: float = 0.0) -> None:
    """What trends is published, and read."""
    at = time.time_ns() // 1_000_000 - int(seconds_ago * 1_000)
    for window in ("5m", "1h", "24h"):
        shop.hot.publish_trending(trending("beer", "tea", window=window, at=at))
    shop.parts.trending.turn()


def tile(page: Page, name: str) -> Locator:
    """The tile with exactly this name."""
    named = page.locator("b", has_text=re.compile(f"^{re.escape(name)}$"))
    return page.locator(".tiles li").filter(has=named)


def shows(page: Page, name: str, value: str | re.Pattern[str], good: bool = True) -> None:
    """The value of a tile, and whether it is marked as bad."""
    expect(tile(page, name).locator("strong")).to_have_text(value)
    expect(tile(page, name)).to_have_class("" if good else "bad")


def test_each_part_is_up_or_said_to_be_out(status: Page, shop: World) -> None:
    for part in ("redis", "cassandra", "kafka", "stream", "mlflow", "model"):
        shows(status, part, "up")
    expect(status.locator("#parts li")).to_have_count(6)
    expect(status.locator("#verdict")).to_have_text("All well.")
    shop.kept_guard.store = None
    shop.registry.points_to = None
    shop.parts.champion.turn()
    shows(status, "cassandra", "out", good=False)
    shows(status, "mlflow", "out", good=False)
    shows(status, "redis", "up")
    expect(status.locator("#verdict")).to_have_text("Degraded: cassandra, mlflow.")


def test_the_champion_is_named_and_why_another_does_not_serve(
    status: Page, shop: World, tmp_path: Path
) -> None:
    live = shop.parts.champion.live
    assert live
    shows(status, "champion", live.bundle.id)
    made = re.compile(r"^made (just now|\d+ s ago)$")
    expect(tile(status, "champion").locator("span")).to_have_text(made)
    damaged = publish_bundle(tmp_path / "damaged", rows=HISTORY[:-1], cut=CUT)
    (damaged / "popularity.npy").unlink()
    shop.registry.points_to = damaged
    shop.parts.champion.turn()
    expect(tile(status, "model").locator("span")).to_contain_text("popularity.npy is missing")
    shows(status, "champion", live.bundle.id)


def test_how_fresh_things_are_is_said(status: Page, shop: World) -> None:
    shows(status, "trending published", re.compile(r"^(just now|\d+ s ago)$"))
    shows(status, "feature age", "–")
    shop.did("ann", recent("tea", seconds_ago=90))
    shop.list_for("ann")
    shows(status, "feature age", re.compile(r"^9\d\.\d s$"))


def test_a_stream_that_stands_still_is_said(tab: Page, tmp_path: Path) -> None:
    shop = stocked_world(tmp_path / "shelf", ServingSettings(refresh_s=60))
    publish(shop, seconds_ago=600)
    with served(shop) as address:
        tab.goto(f"{address}/status")
        shows(tab, "stream", "out", good=False)
        expect(tile(tab, "stream").locator("span")).to_contain_text("millrace stream status")
        shows(tab, "trending published", "10 min ago")


def test_answers_that_lacked_a_part_are_counted(status: Page, shop: World) -> None:
    shows(status, "answers", "0")
    shop.list_for("ann")
    shows(status, "answers", "1")
    expect(tile(status, "answers").locator("span")).to_have_text("0 of them lacked a part")
    shop.hot_guard.store = shop.kept_guard.store = None
    shop.list_for("ann")
    shows(status, "answers", "2")
    expect(tile(status, "answers").locator("span")).to_have_text("1 of them lacked a part")


def test_dead_letters_are_counted_by_topic(status: Page, shop: World) -> None:
    topics = [topic.dead_letter for topic in INPUTS]
    expect(status.locator("#letters b")).to_have_text(topics)
    for topic in topics:
        shows(status, topic, "0")
    shop.letters.waiting[topics[1]] = 3
    shop.parts.dead_letters.turn()
    shows(status, topics[1], "3", good=False)
    shows(status, topics[0], "0")


def test_dead_letters_that_nobody_has_counted_are_no_zero(tab: Page, tmp_path: Path) -> None:
    shop = stocked_world(tmp_path / "shelf", ServingSettings(refresh_s=60))
    with served(shop) as address:
        tab.goto(f"{address}/status")
        for topic in INPUTS:
            shows(tab, topic.dead_letter, "?", good=False)
        shows(tab, "kafka", "unknown", good=False)


def test_the_pages_of_others_are_linked(status: Page) -> None:
    links = status.get_by_role("navigation", name="Elsewhere")
    for name, address in {
        **LINKS, "Storefront": "/", "API docs": "/docs", "Metrics": "/metrics",
    }.items():  # fmt: skip
        expect(links.get_by_role("link", name=name)).to_have_attribute("href", address)
    with status.expect_response("**/api/status"):
        expect(status.locator("#asked")).to_contain_text("again every 2 s")
    expect(links.get_by_role("link")).to_have_count(5)  # none is there twice
