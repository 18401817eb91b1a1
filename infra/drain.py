"""Waits until the stream has applied the whole log: the cut at which stores are compared.

A job commits its offsets with each checkpoint, and a checkpoint completes only after every write
before it; so committed offsets at the end of the log say that the stores have it all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import BrokerResponseError

from feature_store.settings import Settings
from feature_store.topics import INPUTS
from infra.stack.errors import StackError
from infra.stack.http import call_json
from infra.stack.jobs import find, require_live
from infra.stack.stack import Stack

Offsets = Mapping[TopicPartition, int]
#: How long after a request for a checkpoint the next one is sent.
PAUSE_S = 3.0


def end_offsets(settings: Settings) -> Offsets:
    """Where the input topics end now."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, group_id=None)
    try:
        names = [settings.topic(topic.name) for topic in INPUTS]
        partitions = [
            TopicPartition(name, number)
            for name in names
            for number in consumer.partitions_for_topic(name) or ()
        ]
        if not partitions:
            raise StackError(f"Kafka knows none of {', '.join(names)}: start with `millrace up`.")
        ends: Offsets = consumer.end_offsets(partitions)
        return ends
    finally:
        consumer.close()


def drain(
    stack: Stack,
    settings: Settings,
    deployment: str,
    until: Offsets,
    lag: Callable[[int], None] = lambda _: None,
    timeout_s: float = 600,
) -> float:
    """Waits until a deployment's stores hold everything before `until`; returns the seconds.

    `lag` is told how many messages are still ahead. Raises `StackError` after `timeout_s`.
    """
    expected = find(stack, deployment)
    name = expected.title if expected else f"{settings.namespace}-{deployment}"
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < timeout_s:
            ahead = _lag(admin, name, until)
            lag(ahead)
            if ahead == 0:
                return time.monotonic() - begun
            _checkpoint(stack, name)
            time.sleep(PAUSE_S)
    finally:
        admin.close()
    raise StackError(
        f"The {deployment} job is {ahead} messages behind after {timeout_s:.0f} s: "
        "see `millrace stream status` and `millrace logs flink-taskmanager`."
    )


def _lag(admin: KafkaAdminClient, group: str, until: Offsets) -> int:
    try:
        committed = admin.list_group_offsets({group: None})[group]
    except BrokerResponseError:  # a group that has not committed yet
        committed = {}
    return sum(
        max(0, end - max(0, committed[partition].offset if partition in committed else 0))
        for partition, end in until.items()
    )


def _checkpoint(stack: Stack, name: str) -> None:
    """Asks for a checkpoint now; one that is under way already is as good."""
    job = require_live(stack, name)
    url = f"{stack.environment()['MILLRACE_FLINK']}/jobs/{job.id}/checkpoints"
    try:
        call_json(url, "POST", {"checkpointType": "CONFIGURED"})
    except StackError:
        return
