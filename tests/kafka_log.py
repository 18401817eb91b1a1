"""Reads a topic from its beginning to its end as it is now."""

from __future__ import annotations

from kafka import KafkaConsumer, TopicPartition

from feature_store.reference import Message
from feature_store.settings import Settings


def read_log(settings: Settings, topic: str) -> list[Message]:
    """All messages of a topic, in the order in which the broker took them."""
    name = settings.topic(topic)
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, group_id=None)
    try:
        partitions = [TopicPartition(name, n) for n in consumer.partitions_for_topic(name) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        left = sum(consumer.end_offsets(partitions).values())
        messages: list[Message] = []
        while len(messages) < left:
            for records in consumer.poll(1000).values():
                messages += (Message(r.partition, r.offset, r.timestamp, r.value) for r in records)
    finally:
        consumer.close()
    return sorted(messages, key=lambda m: (m.append_time, m.partition, m.offset))
