"""Sends messages to Kafka fast, counts what the broker acknowledged, and fails when any is lost.

What makes kafka-python fast here: it computes CRC-32C in Python, byte by byte, so compressed
batches (gzip, in C) are cheaper than plain ones; large batches with a short linger; and a
partitioner that remembers the hash of a key.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from threading import Lock
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.partitioner import Partitioner
from kafka.partitioner.default import murmur2

from feature_store.settings import Settings
from infra.stack.errors import StackError
from infra.traffic.message import Message

LINGER_MS = 20
BATCH_BYTES = 256 * 1024
#: The client has no memory limit of its own; more than this many unacknowledged messages wait.
MAX_UNACKNOWLEDGED = 50_000


class SendError(StackError):
    """Messages were not acknowledged by Kafka."""


class Sender:
    """A context that sends messages (acks=all, idempotent) and leaves when all are acknowledged.

    Raises `SendError` as soon as one was refused or timed out, at the latest on leaving.
    """

    def __init__(self, settings: Settings) -> None:
        self.acknowledged = 0
        self._sent = 0
        self._counting = Lock()
        self._failure: Exception | None = None
        self._settings = settings
        self._producer = _connect(settings)
        self._topics: dict[str, str] = {}

    def send(self, message: Message) -> None:
        """Hands one message over; waits while too many are unacknowledged."""
        while self._sent - self.acknowledged >= MAX_UNACKNOWLEDGED and self._failure is None:
            time.sleep(0.005)
        self._raise_failure()
        future = self._enqueue(message)
        future.add_callback(self._on_ack)
        future.add_errback(self._on_failure)
        self._sent += 1

    def send_all(self, messages: Iterable[Message]) -> int:
        """Sends every message, waits for the acknowledgements, returns how many there were."""
        before = self.acknowledged
        for message in messages:
            self.send(message)
        self.flush()
        return self.acknowledged - before

    def flush(self) -> None:
        """Waits until Kafka has acknowledged everything that was sent."""
        try:
            self._producer.flush()
        except KafkaError as error:
            raise self._error(error) from error
        self._raise_failure()
        if self.acknowledged != self._sent:
            raise self._error(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Flushes unless the work already failed (an interrupt still flushes), then closes."""
        try:
            if kind is None or issubclass(kind, KeyboardInterrupt):
                self.flush()
        finally:
            with suppress(KafkaError):  # what is lost by now, `flush` has said
                self._producer.close(timeout=1)

    def _enqueue(self, message: Message) -> Any:
        topic = self._topics.get(message.topic)
        if topic is None:
            topic = self._topics[message.topic] = self._settings.topic(message.topic)
        try:
            return self._producer.send(topic, message.value, message.key)
        except KafkaError as error:
            raise self._error(error) from error

    # Both run on the client's own thread, or on ours when the answer came first.
    def _on_ack(self, _: object) -> None:
        with self._counting:
            self.acknowledged += 1

    def _on_failure(self, error: Exception) -> None:
        self._failure = self._failure or error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._error(self._failure) from self._failure

    def _error(self, cause: Exception | None) -> SendError:
        missing = self._sent - self.acknowledged
        return SendError(
            f"Kafka at {self._settings.kafka} did not acknowledge {missing} of {self._sent} "
            f"messages ({cause or 'no reason given'}). Check that it runs (`millrace status`) "
            "and that its topics exist, then run the same command again: copies are recognised."
        )


class _RememberingPartitioner(Partitioner):  # type: ignore[misc]  # kafka-python is untyped
    """Chooses the partition the Java client would, hashing each key once."""

    def __init__(self) -> None:
        self._hash = lru_cache(maxsize=100_000)(murmur2)

    def partition(
        self,
        topic: str,
        key: bytes,
        serialized_key: bytes,
        value: object,
        serialized_value: object,
        cluster: Any,
    ) -> int:
        """The partition (from 0) of a keyed message."""
        count = len(cluster.partitions_for_topic(topic))
        return int((self._hash(serialized_key) & 0x7FFFFFFF) % count)


def _connect(settings: Settings) -> KafkaProducer:
    try:
        return KafkaProducer(
            bootstrap_servers=settings.kafka,
            acks="all",
            enable_idempotence=True,
            compression_type="gzip",
            linger_ms=LINGER_MS,
            batch_size=BATCH_BYTES,
            partitioner=_RememberingPartitioner(),
            metrics_enabled=False,
            allow_auto_create_topics=False,
            max_block_ms=20_000,
            delivery_timeout_ms=60_000,
            bootstrap_timeout_ms=10_000,
        )
    except KafkaError as error:
        raise SendError(
            f"Kafka does not answer at {settings.kafka} ({error}). "
            "Start the stack with `millrace up`, or set MILLRACE_KAFKA."
        ) from error
