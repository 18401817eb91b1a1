"""The storefront in a real browser, over the real app and a shop that fits in memory."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from feature_store.events import Interaction, decode_interaction
from feature_store.stores.base import Recent
from feature_store.stores.memory import MemoryStore
from serving.app import app_of
from serving.publisher import Outgoing
from serving.settings import ServingSettings
from tests.unit.serving.world import FakeKafka, World, publish_bundle, stocked

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Loopback(FakeKafka):
    """Kafka and the stream in one: what is acknowledged is in the store at once."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__()
        self._store = store

    def publish(self, messages: Sequence[Outgoing]) -> None:
        super().publish(messages)
        for message in messages:
            event = decode_interaction(message.value, time.time_ns() // 1_000_000)
            assert isinstance(event, Interaction)
            self._store.write_recents([(event.actor, Recent.of(event))])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The shop behind the page."""
    return stocked_world(tmp_path_factory.mktemp("shelf"), ServingSettings(refresh_s=60))


@pytest.fixture(scope="module")
def url(shop: World) -> Iterator[str]:
    """The address of the page."""
    with served(shop) as address:
        yield address


def stocked_world(root: Path, rules: ServingSettings, **parts: Any) -> World:
    """A shop with a bundle under `root`, and a stream that takes no time."""
    publish_bundle(root)
    store = stocked()
    return World(root, hot=store, rules=rules, kafka=Loopback(store), **parts).settle()


@contextmanager
def served(shop: World) -> Iterator[str]:
    """The address of a shop under uvicorn."""
    config = uvicorn.Config(app_of(shop.parts), port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it."""
    if CHROMIUM is None:
        missing = "no Chromium here: `apt-get install -y chromium` (or Google Chrome)"
        if os.environ.get("CI"):
            pytest.fail(f"{missing}. CI does not skip it: `infra/setup.sh test` installs it.")
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def _is_fault(said: ConsoleMessage) -> bool:
    """Chromium notes every answer that is no success; the page may well expect those."""
    return said.type == "error" and "responded with a status" not in said.text


@pytest.fixture
def page(tab: Page, url: str) -> Page:
    """The storefront, opened as `ann`."""
    tab.goto(f"{url}/#ann")
    tab.wait_for_selector("#list .card")
    return tab


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """An empty tab; the test fails on any error of the pages that it shows."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if _is_fault(said) else None)
    yield page
    page.close()
    assert errors == []
