"""What Kafka holds of a topic: its identity, and the offsets there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError


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
