"""Dead letters: what the stream could not apply, and how it is sent again.

A letter says where the message is and why it was refused. The message itself, with its key, is
fetched from its topic, which keeps everything.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from feature_store.events import (
    InvalidEvent,
    decode_interaction,
    decode_item,
    decode_profile,
    decode_tombstone,
)
from feature_store.settings import Settings
from feature_store.topics import INPUTS, INTERACTIONS, ITEMS, PROFILES
from infra.stack.errors import StackError
from infra.traffic.message import Message

POLL_MS: Final = 1000
FETCH_S: Final = 10.0


@dataclass(frozen=True, slots=True, order=True)
class Letter:
    """A message that was refused; `body` may be cut, and is None for a null message."""

    topic: str
    partition: int
    offset: int
    append_time: int
    reason: str
    body: bytes | None

    @property
    def position(self) -> str:
        """Where the message is, as a person writes it."""
        return f"{self.topic}:{self.partition}:{self.offset}"


def letters(settings: Settings) -> list[Letter]:
    """All letters, by position; one that was written twice counts once."""
    names = [settings.topic(topic.dead_letter) for topic in INPUTS]
    with_copies = (_letter(value) for value in _values(settings, names))
    return sorted({letter.position: letter for letter in with_copies}.values())


def chosen(among: list[Letter], positions: Iterable[str], reason: str | None) -> list[Letter]:
    """The letters at these positions, and those refused for that reason.

    Raises `StackError` for a position without a letter, and when nothing is chosen.
    """
    by_position = {letter.position: letter for letter in among}
    unknown = [position for position in positions if position not in by_position]
    if unknown:
        raise StackError(f"No letter is about {unknown[0]}: write topic:partition:offset.")
    named = set(positions)
    picked = [letter for letter in among if letter.position in named or letter.reason == reason]
    if not picked:
        raise StackError(
            "No letter is chosen: name positions or a --reason of `millrace dlt list`."
        )
    return picked


def originals(settings: Settings, wanted: list[Letter]) -> Iterator[tuple[Letter, Message]]:
    """Each letter with the message it is about, whole and with its key."""
    consumer = _consumer(settings)
    try:
        for letter in wanted:
            record = _fetch(consumer, settings, letter)
            yield letter, Message(letter.topic, record.key or b"", record.value, record.timestamp)
    finally:
        consumer.close()


def refusal(settings: Settings, message: Message, now: int) -> str | None:
    """Why the stream would refuse or ignore the message if it were sent `now` (ms), or None."""
    decoded: Any
    if message.value is not None:
        decoded = DECODERS[message.topic](message.value, now)
    elif message.topic == INTERACTIONS.name:
        return "value: null"
    else:
        decoded = decode_tombstone(message.key)
    if isinstance(decoded, InvalidEvent):
        return decoded.reason
    event_time = getattr(decoded, "event_time", now)
    return "late: older than the horizon" if now - event_time > settings.horizon_ms else None


def keyed(message: Message, now: int) -> Message:
    """The message with its own key, or with the contract's where it has none."""
    if message.key or message.value is None:
        return message
    decoded: Any = DECODERS[message.topic](message.value, now)
    return message._replace(key=getattr(decoded, KEYS[message.topic]).encode())


DECODERS: Final[dict[str, Callable[[bytes, int], Any]]] = {
    INTERACTIONS.name: decode_interaction,
    ITEMS.name: lambda value, _: decode_item(value),
    PROFILES.name: lambda value, _: decode_profile(value),
}
KEYS: Final = {topic.name: topic.key for topic in INPUTS}


def _letter(value: bytes) -> Letter:
    said = orjson.loads(value)
    body = said.pop("body", None)
    return Letter(**said, body=None if body is None else base64.b64decode(body))


def _values(settings: Settings, topics: list[str]) -> Iterator[bytes]:
    """Every message of the topics, from their beginning to their end as it is now."""
    consumer = _consumer(settings)
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in consumer.partitions_for_topic(topic) or ()
        ]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions) if partitions else {}
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for records in consumer.poll(POLL_MS).values():
                yield from (record.value for record in records)
    finally:
        consumer.close()


def _fetch(consumer: KafkaConsumer, settings: Settings, letter: Letter) -> Any:
    partition = TopicPartition(settings.topic(letter.topic), letter.partition)
    consumer.assign([partition])
    consumer.seek(partition, letter.offset)
    deadline = time.monotonic() + FETCH_S
    while time.monotonic() < deadline:
        for record in consumer.poll(POLL_MS, max_records=1).get(partition, ()):
            if record.offset == letter.offset:
                return record
            raise StackError(f"{letter.position} is no longer in the log: send it anew yourself.")
    raise StackError(f"{letter.position} could not be read in {FETCH_S:.0f} s: `millrace status`.")


def _consumer(settings: Settings) -> KafkaConsumer:
    try:
        return KafkaConsumer(
            bootstrap_servers=settings.kafka, group_id=None, auto_offset_reset="earliest"
        )
    except KafkaError as error:
        raise StackError(
            f"Kafka does not answer at {settings.kafka}: start it with `millrace up`."
        ) from error
