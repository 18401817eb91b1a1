"""The storefront in a real browser, over the real app and a shop that fits in memory."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from feature_store.events import Interaction, decode_interaction
from feature_store.stores.base import Recent
from feature_store.stores.memory import MemoryStore
from serving.app import app_of
from serving.publisher import Outgoing
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
    root: Path = tmp_path_factory.mktemp("shelf")
    publish_bundle(root)
    store = stocked()
    return World(root, hot=store, kafka=Loopback(store)).settle()


@pytest.fixture(scope="module")
def url(shop: World) -> Iterator[str]:
    """The address of the page, served by uvicorn."""
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
def page(browser: Browser, url: str) -> Iterator[Page]:
    """The storefront, opened as `ann`; the test fails on any error of the page."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if _is_fault(said) else None)
    page.goto(f"{url}/#ann")
    page.wait_for_selector("#list .card")
    yield page
    page.close()
    assert errors == []
