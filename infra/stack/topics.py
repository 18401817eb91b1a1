"""Creates the topics of `feature_store/topics.py` on a broker, with their dead-letter topics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from feature_store.settings import Settings
from feature_store.topics import INPUTS, TOPICS, Topic
from infra.stack.errors import StackError


def ensure_topics(settings: Settings, replication: int = 1) -> list[str]:
    """Creates the topics that do not exist yet and returns their names; those that do stay."""
    admin = _connect(settings)
    try:
        existing = set(admin.list_topics())
        missing = {
            name: spec for name, spec in _specs(settings, replication) if name not in existing
        }
        return [name for name, spec in missing.items() if _create(admin, name, spec)]
    finally:
        admin.close()


def _connect(settings: Settings) -> KafkaAdminClient:
    try:
        return KafkaAdminClient(bootstrap_servers=settings.kafka, bootstrap_timeout_ms=10_000)
    except KafkaError as error:
        raise StackError(
            f"Kafka does not answer at {settings.kafka}. "
            "Start the stack with `millrace up`, or set MILLRACE_KAFKA."
        ) from error


def _create(admin: KafkaAdminClient, name: str, spec: dict[str, Any]) -> bool:
    try:
        admin.create_topics({name: spec}, wait_for_metadata=True)
    except TopicAlreadyExistsError:  # somebody else was faster
        return False
    return True


def _specs(settings: Settings, replication: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for topic in TOPICS:
        yield settings.topic(topic.name), _spec(topic, topic.partitions, replication)
    for topic in INPUTS:
        yield settings.topic(topic.dead_letter), _spec(topic, 1, replication)


def _spec(topic: Topic, partitions: int, replication: int) -> dict[str, Any]:
    """The broker's clock is the arrival clock, so append time stands in every record."""
    return {
        "num_partitions": partitions,
        "replication_factor": replication,
        "configs": {
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(topic.retention_ms),
            "cleanup.policy": "compact" if topic.compacted else "delete",
        },
    }
