"""How many messages wait in the dead-letter topics: for the status page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from feature_store.settings import Settings
from feature_store.topics import INPUTS
from serving.publisher import KafkaUnavailable

TIMEOUT_MS = 3_000


class Letters(Protocol):
    """Where dead letters are counted."""

    def count(self) -> Mapping[str, int]:
        """Dead-letter topic -> messages in it; raises `KafkaUnavailable`."""


class KafkaLetters:
    """The dead-letter topics of a broker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: KafkaConsumer | None = None

    def count(self) -> Mapping[str, int]:
        try:
            return {topic.dead_letter: self._messages(topic.dead_letter) for topic in INPUTS}
        except KafkaError as error:
            raise KafkaUnavailable(f"dead letters cannot be counted: {error}") from error

    def _messages(self, topic: str) -> int:
        consumer = self._consumer = self._consumer or self._connect()
        name = self._settings.topic(topic)
        places = [TopicPartition(name, n) for n in consumer.partitions_for_topic(name) or ()]
        first = consumer.beginning_offsets(places, TIMEOUT_MS)
        following = consumer.end_offsets(places, TIMEOUT_MS)
        return int(sum(following.values()) - sum(first.values()))

    def _connect(self) -> KafkaConsumer:
        return KafkaConsumer(
            bootstrap_servers=self._settings.kafka,
            request_timeout_ms=TIMEOUT_MS,
            bootstrap_timeout_ms=TIMEOUT_MS,
            metrics_enabled=False,
        )


class DeadLetters:
    """The newest counts; None until Kafka has answered once."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters
        self.counts: Mapping[str, int | None] = {topic.dead_letter: None for topic in INPUTS}
        #: Whether Kafka answered the last time; None before it was asked.
        self.known: bool | None = None

    def turn(self) -> None:
        """Counts again."""
        try:
            self.counts = dict(self._letters.count())
            self.known = True
        except KafkaUnavailable:
            self.known = False
            raise
