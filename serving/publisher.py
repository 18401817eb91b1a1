"""Messages to Kafka: acknowledged within a deadline, or refused with `KafkaUnavailable`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final, Protocol

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from feature_store.settings import Settings
from serving.breaker import Breaker
from serving.telemetry import Telemetry
from serving.tracing import Header, sending

#: Before compression: some twenty impressions, which are what a busy process has in 100 ms.
BATCH_BYTES: Final = 256 << 10


class KafkaUnavailable(Exception):
    """Kafka did not acknowledge in time; the message may or may not be in the log."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message; `topic` is the plain name, without the namespace.

    `event_id` is "" for what is no event; it names the event's trace.
    """

    topic: str
    key: bytes
    value: bytes
    event_id: str = ""


class Publisher(Protocol):
    """Where accepted messages go."""

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Returns when Kafka has acknowledged all; raises `KafkaUnavailable` otherwise."""

    def hand_over(self, message: Outgoing) -> None:
        """Sends without waiting, and counts what becomes of it.

        Raises `KafkaUnavailable`, and counts nothing, when not even that is possible.
        """

    def close(self) -> None:
        """Sends what is left and disconnects."""


class KafkaPublisher:
    """Two producers, because waiting a moment makes impressions cheap and interactions slow."""

    def __init__(
        self, settings: Settings, deadline_ms: int, telemetry: Telemetry, pause_s: float = 1.0
    ) -> None:
        """`pause_s`: how long Kafka is left alone when it did not acknowledge in time."""
        self._settings = settings
        self._deadline_s = deadline_ms / 1_000
        self._telemetry = telemetry
        self._breaker = Breaker(pause_s)
        telemetry.watch(
            telemetry.dependency_out.labels("kafka", "requests"), lambda: float(self.out)
        )
        self._prompt: KafkaProducer | None = None
        self._patient: KafkaProducer | None = None

    def connect(self) -> bool:
        """Tries once to reach Kafka; True when both producers are there."""
        try:
            self._prompt = self._prompt or self._producer(linger_ms=0)
            self._patient = self._patient or self._producer(linger_ms=100)
        except KafkaError as error:
            self._telemetry.failures.labels("kafka").inc()
            raise KafkaUnavailable(
                f"Kafka does not answer at {self._settings.kafka}: {error}"
            ) from error
        return True

    @property
    def out(self) -> bool:
        """Whether it is left alone, or not there yet."""
        return self._prompt is None or self._breaker.open

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """While it is out one caller in each pause waits for it; the others are refused at once."""
        if not self._breaker.admits():
            self._count(messages, "refused")
            raise KafkaUnavailable("left alone after a failure")
        ends = time.monotonic() + self._deadline_s
        try:
            with sending([message.event_id for message in messages]) as headers:
                futures = list(map(self._send, repeat(self._prompt), messages, headers))
                for future in futures:
                    future.get(timeout=max(0.0, ends - time.monotonic()))
        except (KafkaError, KafkaUnavailable) as error:
            self._count(messages, "refused")
            self._telemetry.failures.labels("kafka").inc()
            if not isinstance(error, MessageSizeTooLargeError):  # says nothing about Kafka
                self._breaker.failed()
            raise KafkaUnavailable(str(error)) from error
        self._breaker.succeeded()
        self._count(messages, "acknowledged")

    def hand_over(self, message: Outgoing) -> None:
        try:
            sent = self._send(self._patient, message)
        except KafkaError as error:
            raise KafkaUnavailable(str(error)) from error
        sent.add_callback(lambda _: self._count([message], "acknowledged"))
        sent.add_errback(lambda _: self._count([message], "dropped"))

    def close(self) -> None:
        for producer in (self._prompt, self._patient):
            if producer:
                producer.close(timeout=2)

    def _send(
        self, producer: KafkaProducer | None, message: Outgoing, headers: Sequence[Header] = ()
    ) -> Any:
        if producer is None:
            raise KafkaUnavailable("not connected yet")
        topic = self._settings.topic(message.topic)
        return producer.send(topic, message.value, message.key, list(headers))

    def _count(self, messages: Sequence[Outgoing], fate: str) -> None:
        for message in messages:
            self._telemetry.interactions.labels(message.topic, fate).inc()

    def _producer(self, linger_ms: int) -> KafkaProducer:
        """A message nobody waits for any more is given up with the deadline, not later.

        Not idempotent: an outage would leave such a producer in a fatal state, and the stream
        recognises copies by their event id anyway.
        """
        deadline_ms = int(self._deadline_s * 1_000)
        return KafkaProducer(
            bootstrap_servers=self._settings.kafka,
            acks="all",
            enable_idempotence=False,
            linger_ms=linger_ms,
            compression_type="zstd" if linger_ms else None,
            batch_size=BATCH_BYTES if linger_ms else 16_384,
            request_timeout_ms=deadline_ms,
            delivery_timeout_ms=deadline_ms + linger_ms,
            max_block_ms=deadline_ms,
            bootstrap_timeout_ms=deadline_ms,
            reconnect_backoff_max_ms=1_000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
