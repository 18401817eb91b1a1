"""Creates what the services meet in and nobody creates by accident: the topics."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from feature_store.settings import Settings
from feature_store.topics import INPUTS, TOPICS, Topic


def create_topics(settings: Settings) -> list[str]:
    """Create the topics of the settings' namespace that are missing; returns their names."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    client = KafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        there = set(client.list_topics())
        missing = [
            topic for topic in _topics() if settings.topic(topic.name) not in there
        ]
        if missing:
            client.create_topics([_wanted(settings, topic) for topic in missing])
        return [settings.topic(topic.name) for topic in missing]
    finally:
        client.close()


def _topics() -> Iterator[Topic]:
    yield from TOPICS
    for topic in INPUTS:
        yield Topic(topic.dead_letter, topic.key, 1, -1, False, "streaming", "people")


def _wanted(settings: Settings, topic: Topic) -> NewTopic:
    rules = {
        "retention.ms": str(topic.retention_ms),
        "cleanup.policy": "compact" if topic.compacted else "delete",
    }
    return NewTopic(
        settings.topic(topic.name), topic.partitions, 1, topic_configs=rules
    )
