"""Messages and their fates: what Kafka did not take is never counted as sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from kafka.future import Future

from feature_store.settings import Settings
from serving.publisher import KafkaPublisher, KafkaUnavailable, Outgoing
from serving.telemetry import Telemetry

MESSAGE = Outgoing("recommendation-impressions", b"ann", b"{}")


class Sent(Future):  # type: ignore[misc]
    """A message on its way; `get` is what a producer's future has besides."""

    def get(self, timeout: float | None = None) -> Any:
        if self.exception:
            raise self.exception
        return self.value


class Producer:
    """Hands out futures; `fate` is what becomes of each at once, None for nothing yet."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.fate: Callable[[Sent], object] = lambda sent: None

    def send(self, *_: object) -> Sent:
        self.sent.append(Sent())
        self.fate(self.sent[-1])
        return self.sent[-1]


def lost(sent: Sent) -> None:
    sent.failure(KafkaTimeoutError("no acknowledgement"))


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> Producer:
    made = Producer()
    monkeypatch.setattr(KafkaPublisher, "_producer", lambda *_, **__: made)
    return made


def publisher(telemetry: Telemetry) -> KafkaPublisher:
    made = KafkaPublisher(Settings(), 3_000, telemetry, pause_s=60)
    made.connect()
    return made


def count(telemetry: Telemetry, fate: str) -> float:
    labels = {"topic": MESSAGE.topic, "fate": fate}
    return telemetry.registry.get_sample_value("millrace_serving_messages_total", labels) or 0


def test_a_message_handed_over_counts_by_what_became_of_it(producer: Producer) -> None:
    telemetry = Telemetry()
    kafka = publisher(telemetry)
    for _ in range(3):
        kafka.hand_over(MESSAGE)
    assert count(telemetry, "acknowledged") == count(telemetry, "dropped") == 0
    lost(producer.sent[0])
    producer.sent[1].success(None)
    assert count(telemetry, "acknowledged") == count(telemetry, "dropped") == 1


def test_without_a_producer_nothing_is_handed_over() -> None:
    with pytest.raises(KafkaUnavailable):
        KafkaPublisher(Settings(), 3_000, Telemetry()).hand_over(MESSAGE)


def test_while_kafka_is_out_one_caller_a_pause_waits_and_the_others_do_not(
    producer: Producer,
) -> None:
    telemetry = Telemetry()
    kafka = publisher(telemetry)
    producer.fate = lost
    for _ in range(5):
        with pytest.raises(KafkaUnavailable):
            kafka.publish([MESSAGE])
    assert len(producer.sent) == 1
    assert count(telemetry, "refused") == 5
    assert kafka.out
    producer.fate = lambda sent: sent.success(None)
    with pytest.raises(KafkaUnavailable):
        kafka.publish([MESSAGE])
    kafka._breaker._retry_at = 0.0  # the pause is over
    kafka.publish([MESSAGE])
    kafka.publish([MESSAGE])
    assert not kafka.out
    assert count(telemetry, "acknowledged") == 2


def test_a_message_that_is_too_large_leaves_the_others_their_way(producer: Producer) -> None:
    kafka = publisher(Telemetry())
    producer.fate = lambda sent: sent.failure(MessageSizeTooLargeError("2 MB"))
    with pytest.raises(KafkaUnavailable):
        kafka.publish([MESSAGE])
    assert not kafka.out
