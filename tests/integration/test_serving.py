"""The API over real Kafka, Redis, Cassandra and MLflow, in its own process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from kafka import KafkaConsumer

from feature_store.events import Interaction, decode_interaction
from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from infra.stack.serving import EDGE, as_one, emptied
from models.registry import Registry
from tests.unit.serving.world import HISTORY, ITEMS, ids, publish_bundle, recent, record, trending

PATIENCE_S = 120.0
NOBODY = "127.0.0.1:1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    settings: Settings,
    log: Path,
    *,
    under: Sequence[str] = (),
    workers: int = 1,
    **environment: str,
) -> Iterator[httpx.Client]:
    """The API under uvicorn with these settings, once it lives; stopped by SIGTERM.

    `under` is a command that runs it, as `setpriv` does.
    """
    said = {f"MILLRACE_{name}".upper(): str(value) for name, value in settings.model_dump().items()}
    port = free_port()
    command = [*under, sys.executable, "-m", "uvicorn", "--port", str(port), *EDGE]
    command += ["--workers", str(workers)]
    counts = emptied(log.with_suffix(".counts"))
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | said | as_one(workers, counts) | environment,
            stdout=output,
            stderr=output,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
                wait_for(lambda: status(http, "/health/live") == 200)
                yield http
        finally:
            process.terminate()
            assert process.wait(20) in (0, -15)


def status(http: httpx.Client, path: str) -> int | None:
    try:
        return http.get(path).status_code
    except httpx.TransportError:
        return None


def wait_for(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends, "did not happen in time"
        time.sleep(0.1)


def list_for(http: httpx.Client, user: str) -> dict[str, Any]:
    answer = http.get(f"/api/recommendations/{user}")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = orjson.loads(answer.content)
    return said


def stock(store: Store, *users: str) -> None:
    store.write_records(record(item) for item in ITEMS)
    store.publish_trending(trending("beer", "tea", at=time.time_ns() // 1_000_000))
    store.write_recents((user, recent("tea", "click")) for user in users)


def messages(settings: Settings, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        settings.topic(topic),
        bootstrap_servers=settings.kafka,
        auto_offset_reset="earliest",
        consumer_timeout_ms=15_000,
    )
    try:
        return [message for message, _ in zip(consumer, range(count), strict=False)]
    finally:
        consumer.close()


@pytest.fixture
def redis(settings: Settings) -> Iterator[RedisStore]:
    store = RedisStore.connect(settings)
    yield store
    store.close()


@pytest.fixture
def cassandra(settings: Settings) -> Iterator[CassandraStore]:
    store = CassandraStore.connect(settings)
    yield store
    store.close()


def test_a_promoted_bundle_serves_what_redis_knows_and_logs_what_it_showed(
    settings: Settings, redis: RedisStore, tmp_path: Path
) -> None:
    stock(redis, "ann")
    registry = Registry(settings.mlflow, settings.namespace)
    first, second = (
        registry.publish(publish_bundle(tmp_path / name, rows=rows))
        for name, rows in (("one", HISTORY), ("two", HISTORY[:-1]))
    )
    registry.promote(first)
    with serving(settings, tmp_path / "log", MILLRACE_SERVING_CHAMPION_S="0.5") as http:
        wait_for(lambda: status(http, "/health/ready") == 200)
        wait_for(lambda: list_for(http, "ann")["degraded"] == [])
        answer = list_for(http, "ann")
        assert answer["bundle"] == first.bundle_id
        assert answer["features_from"] == "redis"
        assert answer["last_event_id"] == "click-tea"
        registry.promote(second)
        wait_for(lambda: list_for(http, "ann")["bundle"] == second.bundle_id)
    shown = orjson.loads(messages(settings, "recommendation-impressions", 1)[0].value)
    assert shown["actor"] == "ann"
    assert shown["items"][0]["item_id"] in ITEMS


def test_an_accepted_interaction_is_in_kafka_as_the_stream_wants_it(
    settings: Settings, tmp_path: Path
) -> None:
    body = {"session_id": "s1", "item_id": "milk", "type": "click"}
    with serving(settings, tmp_path / "log") as http:
        wait_for(lambda: http.post("/api/interactions", json=body).status_code == 202)
        accepted = http.post("/api/interactions", json=[body] * 3).json()
    found = messages(settings, "user-interactions", 4)
    events = [decode_interaction(message.value, message.timestamp) for message in found]
    assert all(isinstance(event, Interaction) and event.actor == "anon:s1" for event in events)
    assert {message.key for message in found} == {b"anon:s1"}
    sent = [event.event_id for event in events if isinstance(event, Interaction)]
    assert sent[1:] == accepted["event_ids"]


def test_cassandra_answers_while_redis_is_out(
    settings: Settings, cassandra: CassandraStore, tmp_path: Path
) -> None:
    stock(cassandra, "ann")
    publish_bundle(settings.bundles)
    without = settings.model_copy(
        update={"redis": f"redis://{NOBODY}/0", "mlflow": f"http://{NOBODY}"}
    )
    patient = {"MILLRACE_SERVING_CASSANDRA_DEADLINE_MS": "5000"}
    with serving(without, tmp_path / "log", **patient) as http:
        wait_for(lambda: list_for(http, "ann")["features_from"] == "cassandra")
        answer = list_for(http, "ann")
        assert answer["last_event_id"] == "click-tea"
        assert "redis" in answer["degraded"]


def test_with_everything_out_at_the_start_the_bundle_on_disk_serves(
    settings: Settings, tmp_path: Path
) -> None:
    publish_bundle(settings.bundles)
    nothing = settings.model_copy(
        update={
            "kafka": NOBODY,
            "redis": f"redis://{NOBODY}/0",
            "cassandra": NOBODY,
            "mlflow": f"http://{NOBODY}",
        }
    )
    with serving(nothing, tmp_path / "log", MILLRACE_SERVING_KAFKA_DEADLINE_MS="500") as http:
        assert status(http, "/health/ready") == 200
        assert ids(list_for(http, "ann"))
        body = {"user_id": "ann", "item_id": "milk", "type": "click"}
        refused = http.post("/api/interactions", json=body)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
