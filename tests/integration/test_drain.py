"""The wait for the end of the log outlives what comes back, and ends with what does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaProducer

from feature_store.settings import Settings
from infra.drain import drain, end_offsets
from infra.stack.errors import StackError
from infra.stack.jobs import cancel
from infra.stack.stack import Stack
from infra.stack.streaming import deploy
from tests.builders import interaction
from tests.faults.cluster import JOB_MANAGER, frozen

#: Longer than a call waits for Flink, shorter than its task manager does.
SILENT_S = 7.0


@pytest.fixture
def shop(stack: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A hot job, and a record that retention had removed before it began."""
    monkeypatch.setenv("MILLRACE_NAMESPACE", settings.namespace)
    say(settings, "item-metadata", {"title": "of long ago"})
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    admin.delete_records({place: end for place, end in end_offsets(settings).items() if end})
    admin.close()
    deploy(stack, "hot")
    return stack.settings()


def now() -> int:
    return time.time_ns() // 1_000_000


def say(settings: Settings, topic: str, body: object) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    producer.send(settings.topic(topic), orjson.dumps(body), b"ann").get(10)
    producer.close()


def behind(settings: Settings, act: Callable[[], None]) -> Callable[[int], None]:
    """Puts the job one view behind; the first to hear of it is `act`."""
    say(settings, "user-interactions", interaction("view", "ann", "shoe", at=now()).body)
    waiting = [act]

    def hear(ahead: int) -> None:
        if waiting:
            assert ahead
            waiting.pop()()

    return hear


def silence(stack: Stack) -> None:
    """Returns when Flink's job manager is silent, which it stays for `SILENT_S`."""

    def keep() -> None:
        with frozen(stack, JOB_MANAGER):
            time.sleep(SILENT_S)

    Thread(target=keep).start()
    time.sleep(1)


def test_what_comes_back_is_waited_for_and_what_has_ended_is_not(
    stack: Stack, shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = behind(shop, lambda: silence(stack))
    assert drain(stack, shop, "hot", end_offsets(shop), hear) > SILENT_S - 1

    monkeypatch.setattr("infra.drain.AWAY_S", 1)
    hear = behind(shop, lambda: silence(stack))
    with pytest.raises(StackError, match=r"1 messages behind .*does not answer"):
        drain(stack, shop, "hot", end_offsets(shop), hear)
    time.sleep(SILENT_S)

    hear = behind(shop, lambda: cancel(stack, "hot"))
    with pytest.raises(StackError, match=r"has ended \(CANCELED\)"):
        drain(stack, shop, "hot", end_offsets(shop), hear)
