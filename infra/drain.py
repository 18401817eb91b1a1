"""Waits until the stream has applied the whole log: the cut at which stores are compared.

A job commits its offsets with each checkpoint, and a checkpoint completes only after every write
before it; so committed offsets at the end of the log say that the stores have it all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import BrokerResponseError, KafkaError

from feature_store.settings import Settings
from feature_store.topics import INPUTS
from infra.stack.errors import StackError
from infra.stack.http import call_json
from infra.stack.jobs import find, latest, require_live
from infra.stack.stack import Stack

Offsets = Mapping[TopicPartition, int]
#: How long after a request for a checkpoint the next one is sent.
PAUSE_S = 3.0
#: How long Kafka, Flink or the job may be away: a supervisor brings each back within a minute.
AWAY_S = 300.0


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

    `lag` is told how many messages are still ahead. A broker, a cluster or a job that is killed
    meanwhile is waited for. Raises `StackError` when the job does not run at first, when it ends,
    and after `timeout_s`.
    """
    expected = find(stack, deployment)
    name = expected.title if expected else f"{settings.namespace}-{deployment}"
    require_live(stack, name)
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    begun = there = time.monotonic()
    trouble, ahead = "", -1
    try:
        while time.monotonic() - begun < timeout_s:
            try:
                ahead = _lag(admin, name, until)
                lag(ahead)
                if ahead == 0:
                    return time.monotonic() - begun
                _checkpoint(stack, name)
                there, trouble = time.monotonic(), ""
            except (KafkaError, _Away) as away:
                trouble = f" ({away!s:.200})"
                if time.monotonic() - there > AWAY_S:
                    break
            time.sleep(PAUSE_S)
    finally:
        admin.close()
    raise StackError(
        f"The {deployment} job is {ahead} messages behind after {time.monotonic() - begun:.0f} s"
        f"{trouble}: see `millrace stream status` and `millrace logs flink-taskmanager`."
    )


class _Away(Exception):
    """Whom we asked does not answer, which may pass."""


def _lag(admin: KafkaAdminClient, group: str, until: Offsets) -> int:
    try:
        committed = admin.list_group_offsets({group: None})[group]
    except BrokerResponseError:  # a group that has not committed yet
        committed = {}
    # What retention has removed nobody can read; of an empty partition nothing is ever committed.
    begins = admin.list_partition_offsets(dict.fromkeys(until, OffsetSpec.EARLIEST))
    ahead = 0
    for place, end in until.items():
        read = committed[place].offset if place in committed else 0
        ahead += max(0, end - max(read, begins[place].offset))
    return ahead


def _checkpoint(stack: Stack, name: str) -> None:
    """Asks for a checkpoint now; one that is under way already is as good."""
    try:
        job = latest(stack, name)
    except StackError as silent:
        raise _Away(silent) from silent
    if job is None or job.lost:
        raise _Away(f"Flink runs no job called {name}")
    if not job.live:
        raise StackError(f"{name} has ended ({job.state}): see `millrace stream status`.")
    url = f"{stack.environment()['MILLRACE_FLINK']}/jobs/{job.id}/checkpoints"
    with suppress(StackError):
        call_json(url, "POST", {"checkpointType": "CONFIGURED"})
