"""What Kafka holds of a topic: its identity, the offsets there are, and the messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from pyspark.sql import DataFrame, SparkSession


class BrokerUnavailable(Exception):
    """Kafka did not answer, or does not have a topic."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A topic as the broker has it now: partition -> first offset kept, and next to be written.

    A topic that is deleted and made again has another `topic_id` and starts at 0.
    """

    topic: str
    topic_id: str
    first: Mapping[int, int]
    next: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class RangeText:
    """A range as manifests and Spark spell it: partitions are text."""

    start: dict[str, int]
    until: dict[str, int]


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets of a topic: partition -> first and last (exclusive)."""

    topic: str
    start: Mapping[int, int]
    until: Mapping[int, int]

    @property
    def offsets(self) -> int:
        """How many there are."""
        return sum(self.until.values()) - sum(self.start.values())

    @property
    def text(self) -> RangeText:
        """The same with partitions as text, in order."""
        return RangeText(_text(self.start), _text(self.until))


def messages(spark: SparkSession, bootstrap: str, wanted: Range) -> DataFrame:
    """The messages of a range: partition, offset, append_time (ms), key, value."""
    return (
        spark.read.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("subscribe", wanted.topic)
        .option("startingOffsets", orjson.dumps({wanted.topic: wanted.text.start}).decode())
        .option("endingOffsets", orjson.dumps({wanted.topic: wanted.text.until}).decode())
        .option("failOnDataLoss", "true")
        .load()
        .selectExpr("partition", "offset", "unix_millis(timestamp) AS append_time", "key", "value")
    )


def extents(bootstrap: str, topics: list[str]) -> list[Extent]:
    """The extents of topics, at one moment; raises `BrokerUnavailable`."""
    try:
        return _extents(bootstrap, topics)
    except KafkaError as error:
        raise BrokerUnavailable(
            f"Kafka at {bootstrap} does not answer ({error}). "
            "Start it with `millrace up`, or set MILLRACE_KAFKA."
        ) from error


def _extents(bootstrap: str, topics: list[str]) -> list[Extent]:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        described = admin.describe_topics(topics)
        missing = [found["name"] for found in described if found["error_code"]]
        if missing:
            raise BrokerUnavailable(
                f"Kafka at {bootstrap} has no topic {', '.join(missing)}: "
                "`millrace up` creates the topics."
            )
        return [_extent(consumer, found) for found in described]
    finally:
        consumer.close()
        admin.close()


def _extent(consumer: KafkaConsumer, described: Mapping[str, object]) -> Extent:
    name, partitions = str(described["name"]), described["partitions"]
    assert isinstance(partitions, list)
    places = [TopicPartition(name, part["partition_index"]) for part in partitions]
    first, following = consumer.beginning_offsets(places), consumer.end_offsets(places)
    return Extent(
        name,
        str(described["topic_id"]),
        {place.partition: first[place] for place in places},
        {place.partition: following[place] for place in places},
    )


def _text(offsets: Mapping[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in sorted(offsets.items())}
