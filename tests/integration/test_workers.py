"""Several API processes over one stack answer as one: what one is told, the other knows."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from kafka import KafkaConsumer

from feature_store.events import Interaction, decode_interaction
from feature_store.settings import Settings
from feature_store.stores.base import Recent
from feature_store.stores.redis import RedisStore
from infra.stack.stack import Stack
from models.registry import Registry, Version
from serving.keys import Scope, create
from tests.conftest import isolated
from tests.integration.test_serving import list_for, serving, status, stock, wait_for
from tests.unit.serving.world import HISTORY, ids, publish_bundle, recent

BURST = 20
#: Nothing but what is being tested decides: no deadline of a busy machine, no end of a list's life.
CALM = {
    "MILLRACE_SERVING_REDIS_DEADLINE_MS": "5000",
    "MILLRACE_SERVING_CHAMPION_S": "0.5",
    "MILLRACE_SERVING_RESULT_S": "600",
}
ROUTE = 'route="/api/recommendations/{user_id}"'
WORKERS = 2


@dataclass(frozen=True)
class Pair:
    """Two API processes, each on a port of its own, and what they share."""

    one: httpx.Client
    other: httpx.Client
    settings: Settings
    redis: RedisStore
    registry: Registry
    next_version: Version
    key: str

    def stream(self, event_id: str) -> None:
        """Flink's part: an accepted interaction goes from Kafka into the store."""
        consumer = KafkaConsumer(
            self.settings.topic("user-interactions"),
            bootstrap_servers=self.settings.kafka,
            auto_offset_reset="earliest",
            consumer_timeout_ms=15_000,
        )
        try:
            events = (decode_interaction(said.value, said.timestamp) for said in consumer)
            event = next(e for e in events if isinstance(e, Interaction) and e.event_id == event_id)
        finally:
            consumer.close()
        self.redis.write_recents([(event.actor, Recent.of(event))])


@pytest.fixture(scope="module")
def pair(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The first version is champion, and both processes lack nothing."""
    root = tmp_path_factory.mktemp("pair")
    settings = isolated(stack, root)
    with ExitStack() as closing:
        redis = RedisStore.connect(settings)
        closing.callback(redis.close)
        stock(redis, "ann", "kim", "lee")
        registry = Registry(settings.mlflow, settings.namespace)
        first, second = (
            registry.publish(publish_bundle(root / name, rows=rows))
            for name, rows in (("first", HISTORY), ("second", HISTORY[:-1]))
        )
        registry.promote(first)
        keys = root / "keys.json"
        _, key = create(keys, "shop", frozenset({Scope.READ}), None, None, 0.001, BURST)
        said = CALM | {"MILLRACE_SERVING_KEYS": str(keys)}
        one, other = (
            closing.enter_context(serving(settings, root / f"{name}.log", **said))
            for name in ("one", "other")
        )
        wait_for((settings.bundles / first.bundle_id).exists)
        for http in (one, other):
            wait_for(lambda http=http: bundle(http) == first.bundle_id)  # type: ignore[misc]
            wait_for(lambda http=http: list_for(http, "lee")["degraded"] == [])  # type: ignore[misc]
        yield Pair(one, other, settings, redis, registry, second, key)


def bundle(http: httpx.Client) -> str | None:
    found: str | None = list_for(http, "lee")["bundle"]
    return found


def counted(http: httpx.Client, name: str, labels: str) -> float:
    """The sum of the samples of a metric that have these labels."""
    said = re.findall(rf"^millrace_serving_{name}\{{(.*)\}} (\S+)$", metrics(http), re.MULTILINE)
    return sum(float(value) for found, value in said if labels in found)


def metrics(http: httpx.Client) -> str:
    return http.get("/metrics").text


def test_a_click_sent_to_one_process_changes_the_answer_of_the_other(pair: Pair) -> None:
    before = list_for(pair.other, "ann")
    body = {"user_id": "ann", "item_id": "beer", "type": "click", "event_id": "to-one"}
    wait_for(lambda: pair.one.post("/api/interactions", json=body).status_code == 202)
    pair.stream("to-one")
    after = list_for(pair.other, "ann")
    assert before["last_event_id"] != after["last_event_id"] == "to-one"
    assert ids(before) != ids(after)


def test_a_dislike_told_to_one_process_holds_in_the_next_answer_of_the_other(pair: Pair) -> None:
    unwanted = ids(list_for(pair.one, "ann"))[0]
    body = {"user_id": "ann", "item_id": unwanted, "kind": "dislike"}
    wait_for(lambda: pair.other.post("/api/feedback", json=body).status_code == 202)
    assert unwanted not in ids(list_for(pair.one, "ann"))


def test_one_key_has_one_quota_whichever_process_it_asks(pair: Pair) -> None:
    key = {"Authorization": f"Bearer {pair.key}"}
    answers = [
        http.get("/api/trending", headers=key).status_code
        for _ in range(BURST)
        for http in (pair.one, pair.other)
    ]
    assert answers == [200] * BURST + [429] * BURST


def test_a_list_kept_by_one_process_is_found_by_the_other_until_a_click(pair: Pair) -> None:
    def hits(http: httpx.Client) -> float:
        return counted(http, "results_total", 'fate="hit"')

    kept = list_for(pair.one, "kim")
    before = hits(pair.other)
    found = list_for(pair.other, "kim")
    assert hits(pair.other) == before + 1
    assert ids(found) == ids(kept)
    pair.redis.write_recents([("kim", recent("beer", "click", 0.0))])
    for http, found_by_it in ((pair.other, 0), (pair.one, 1)):
        before = hits(http)
        assert list_for(http, "kim")["last_event_id"] == "click-beer"
        assert hits(http) == before + found_by_it


def test_both_processes_follow_a_new_champion(pair: Pair) -> None:
    pair.registry.promote(pair.next_version)
    wait_for((pair.settings.bundles / pair.next_version.bundle_id).exists)
    for http in (pair.one, pair.other):
        wait_for(lambda http=http: bundle(http) == pair.next_version.bundle_id)  # type: ignore[misc]


def test_workers_of_one_port_are_replaced_and_counted_as_one(pair: Pair, tmp_path: Path) -> None:
    with serving(pair.settings, tmp_path / "log", workers=WORKERS, **CALM) as http:
        wait_for(lambda: status(http, "/health/ready") == 200)
        first = processes()
        assert len(first) == WORKERS
        # All of them serve it, whichever was asked.
        serving_it = f'bundle="{pair.next_version.bundle_id}"'
        wait_for(lambda: counted(http, "bundle", serving_it) == WORKERS)
        ask(http, 20)
        wait_for(lambda: counted(http, "requests_total", ROUTE) == 20)
        first[0].send_signal(signal.SIGKILL)
        wait_for(lambda: len(processes()) == WORKERS and first[0] not in processes())
        wait_for(lambda: counted(http, "bundle", serving_it) == WORKERS)
        ask(http, 20)
        wait_for(lambda: counted(http, "requests_total", ROUTE) == 40)
        wait_for(lambda: counted(http, "dependency_out", 'use="requests"') == 0)


def ask(http: httpx.Client, times: int) -> None:
    """Lists, each over a connection of its own, so that the kernel chooses a process anew."""
    for _ in range(times):
        address = http.base_url.join("/api/recommendations/lee")
        assert httpx.get(address, timeout=10).status_code == 200


def processes() -> list[psutil.Process]:
    """The workers behind the port: children of a child of this process."""
    found = psutil.Process(os.getpid()).children(recursive=True)
    return [one for one in found if _is_worker(one)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and any(
            "spawn_main" in word for word in process.cmdline()
        )
    except psutil.NoSuchProcess:
        return False
