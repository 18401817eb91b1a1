"""The wait for the end of the log outlives what comes back, and ends with what does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from feature_store.settings import Settings
from infra.drain import Offsets, drain, end_offsets
from infra.stack.errors import StackError
from infra.stack.jobs import cancel
from infra.stack.stack import Stack
from infra.stack.streaming import deploy
from tests.builders import interaction
from tests.faults.cluster import JOB_MANAGER, frozen

#: Longer than a call waits for Flink, and with what `frozen` takes shorter than its task manager.
SILENT_S = 6.0


@pytest.fixture
def shop(stack: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A hot job, and a record that retention had removed before it began."""
    monkeypatch.setenv("MILLRACE_NAMESPACE", settings.namespace)
    say(settings, "item-metadata", {"title": "of long ago"})
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    admin.delete_records({place: end for place, end in end_offsets(settings).items() if end})
    admin.close()
    deploy(stack, "hot")
    yield stack.settings()
    with suppress(StackError):  # the test has cancelled it
        cancel(stack, "hot")


def say(settings: Settings, topic: str, body: object) -> tuple[TopicPartition, int]:
    """Where the message is."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    sent = producer.send(settings.topic(topic), orjson.dumps(body), b"ann").get(10)
    producer.close()
    return TopicPartition(sent.topic, sent.partition), sent.offset


def see(settings: Settings) -> tuple[TopicPartition, int]:
    """Somebody views something."""
    now = time.time_ns() // 1_000_000
    return say(settings, "user-interactions", interaction("view", "ann", "shoe", at=now).body)


def behind(settings: Settings, act: Callable[[], None]) -> tuple[Offsets, Callable[[int], None]]:
    """An end one view ahead of the log; who hears of it first acts, then sends that view."""
    place, offset = see(settings)
    waiting = [act]

    def hear(ahead: int) -> None:
        if waiting:
            assert ahead
            waiting.pop()()
            see(settings)

    return {**end_offsets(settings), place: offset + 2}, hear


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
    until, hear = behind(shop, lambda: silence(stack))
    assert drain(stack, shop, "hot", until, hear) > SILENT_S - 1

    monkeypatch.setattr("infra.drain.AWAY_S", 1)
    until, hear = behind(shop, lambda: silence(stack))
    with pytest.raises(StackError, match=r"does not answer .* for 1 s"):
        drain(stack, shop, "hot", until, hear)
    time.sleep(SILENT_S)

    until, hear = behind(shop, lambda: cancel(stack, "hot"))
    with pytest.raises(StackError, match=r"has ended \(CANCELED\)"):
        drain(stack, shop, "hot", until, hear)
