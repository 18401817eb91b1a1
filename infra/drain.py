"""Waits until the stream has applied the whole log: the cut at which stores are compared.

A job commits its offsets with each checkpoint, and a checkpoint completes only after every write
before it; so committed offsets at the end of the log say that the stores have it all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import BrokerResponseError, KafkaError, RetriableError

from feature_store.settings import Settings
from feature_store.topics import INPUTS
from infra.stack.errors import StackError
from infra.stack.http import call_json
from infra.stack.jobs import find, latest
from infra.stack.stack import Stack

T = TypeVar("T")
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
    meanwhile is waited for, `AWAY_S` at the longest. Raises `StackError` then, when the job ends,
    and after `timeout_s`.
    """
    expected = find(stack, deployment)
    name = expected.title if expected else f"{settings.namespace}-{deployment}"
    begun = time.monotonic()
    while time.monotonic() - begun < timeout_s:
        ahead = outlasting(lambda: _lag(settings, name, until))
        lag(ahead)
        if ahead == 0:
            return time.monotonic() - begun
        outlasting(lambda: _checkpoint(stack, name))
        time.sleep(PAUSE_S)
    raise StackError(
        f"The {deployment} job is {ahead} messages behind after {timeout_s:.0f} s: "
        "see `millrace stream status` and `millrace logs flink-taskmanager`."
    )


def outlasting(attempt: Callable[[], T]) -> T:
    """What `attempt` returns once Kafka, Flink and the job are there to be asked."""
    begun = time.monotonic()
    while True:
        try:
            return attempt()
        except (KafkaError, _Away) as away:
            if time.monotonic() - begun > AWAY_S:
                raise StackError(f"{away} for {AWAY_S:.0f} s: see `millrace status`.") from away
        time.sleep(PAUSE_S)


class _Away(Exception):
    """Whom we asked does not answer, which may pass."""


def _lag(settings: Settings, group: str, until: Offsets) -> int:
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        committed = _committed(admin, group)
        begins = admin.list_partition_offsets(dict.fromkeys(until, OffsetSpec.EARLIEST))
    finally:
        admin.close()
    # What retention has removed nobody can read; of an empty partition nothing is ever committed.
    return sum(
        max(0, end - max(committed.get(place, 0), begins[place].offset))
        for place, end in until.items()
    )


def _committed(admin: KafkaAdminClient, group: str) -> Offsets:
    try:
        found = admin.list_group_offsets({group: None})[group]
    except RetriableError:
        raise
    except BrokerResponseError:  # a group that has not committed yet
        return {}
    return {place: one.offset for place, one in found.items()}


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
