"""A new feature gets its history from the recount, and the stream's own tiles are left alone."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from feature_store.declaration import load
from feature_store.reference import fold, ring
from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAY, Tile, Version
from infra.cli import app
from infra.stack.declarations import freeze
from infra.stack.stack import Stack
from infra.stack.wanted import Wanted, lock, remember
from infra.traffic.message import Message
from infra.traffic.producer import Sender
from tests.builders import interaction
from tests.kafka_log import read_log

NOW = time.time_ns() // 1_000_000
SINCE = DAY.start(NOW) - 2 * DAY.ms
BEFORE = """
from feature_store.aggregates import Count
from feature_store.declaration import Entity, Feature
from feature_store.tiles import DAYS_7

FEATURES = (Feature("views", Entity.USER, ("view",), Count(), (DAYS_7,)),)
"""
AFTER = BEFORE + '\nFEATURES += (Feature("buys", Entity.USER, ("purchase",), Count(), (DAYS_7,)),)'


@pytest.fixture
def shop(
    stack: Stack, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A week of views and purchases in the log; the declaration is `AFTER` by now."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, source in (("before", BEFORE), ("after", AFTER)):
        (tmp_path / f"{settings.namespace}_{name}.py").write_text(source)
    monkeypatch.setenv("MILLRACE_HOME", str(stack.home.root))
    monkeypatch.setenv("MILLRACE_NAMESPACE", settings.namespace)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("MILLRACE_FEATURES", f"{settings.namespace}_after")
    with Sender(settings) as sender:
        for day in range(7):
            for number in range(40):
                kind, user = ("purchase" if number % 2 else "view"), f"user-{number % 8}"
                sent = interaction(kind, user, "milk", at=NOW - day * DAY.ms - number, price=1.0)
                body = orjson.dumps(sent.body)
                sender.send(Message("user-interactions", user.encode(), body, 0))
    return stack.settings()


def upgraded(stack: Stack, shop: Settings, deployment: str) -> None:
    """The list of jobs as an upgrade leaves it; nothing runs."""
    job = Wanted(
        name=deployment,
        title=f"{shop.namespace}-{deployment}-g1",
        script="job.py",
        arguments=("--since", str(SINCE)),
        deployment=deployment,
        generation=1,
        environment={"MILLRACE_NAMESPACE": shop.namespace, **freeze(stack.home, shop.features)},
        running=False,
    )
    with lock(stack.home):
        remember(stack.home, job)


def folded(shop: Settings, when: str) -> list[Tile]:
    """The log by the declaration of before or after."""
    log = read_log(shop, "user-interactions")
    return [*fold(load(f"{shop.namespace}_{when}"), log, shop.horizon_ms).tiles()]


def written_by(generation: int, tile: Tile) -> Tile:
    version = Version.of_tile(tile.start, 0, tile.version.applied, generation)
    return Tile(tile.entity, tile.entity_id, tile.level, version, tile.body)


def test_a_new_feature_gets_the_history_that_the_stream_did_not_fold(
    stack: Stack, shop: Settings
) -> None:
    stores: tuple[Store, ...] = (RedisStore.connect(shop), CassandraStore.connect(shop))
    own = [tile for tile in folded(shop, "before") if tile.start >= SINCE]
    for store in stores:
        store.write_tiles(folded(shop, "before"))
    for deployment in ("hot", "kept"):
        upgraded(stack, shop, deployment)

    done = CliRunner().invoke(app, ["backfill", "buys"], catch_exceptions=False)

    assert done.exit_code == 0, done.output
    old = [written_by(1, t) for t in folded(shop, "after") if t.start < SINCE and "buys" in t.body]
    untouched = [t for t in folded(shop, "before") if '"views"' in t.body and t.start < SINCE]
    assert len(old) == 4 * 4
    kept = {*stores[1].scan_tiles()}
    assert kept == {*own, *untouched, *old} == {*stores[0].scan_tiles()}
    assert {*ring(kept).values()} == kept


def test_a_feature_nobody_declared_is_one_sentence(stack: Stack, shop: Settings) -> None:
    refused = CliRunner().invoke(app, ["backfill", "nothing"])
    assert "there are buys, views" in str(refused.exception)


def test_a_job_of_another_declaration_must_be_upgraded_first(
    stack: Stack, shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.model_copy(update={"features": f"{shop.namespace}_before"})
    for deployment in ("hot", "kept"):
        upgraded(stack, before, deployment)
    refused = CliRunner().invoke(app, ["backfill", "buys"])
    assert "millrace stream upgrade" in str(refused.exception)
