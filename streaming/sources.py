"""Where messages come from: Kafka as bytes, decoded once each into fields or a reason.

Interactions are read in the JVM; a message it is not sure of, and every record, is decoded by the
contract in Python (`feature_store/events.py`), which accepts it or says why not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pyflink.common import Row
from pyflink.table import DataTypes, StreamTableEnvironment, Table
from pyflink.table.expressions import col
from pyflink.table.udf import TableFunction, udtf

from feature_store.declaration import Entity
from feature_store.events import (
    MAX_FUTURE_MS,
    InvalidEvent,
    canonical,
    decode_interaction,
    decode_item,
    decode_profile,
    decode_tombstone,
)
from feature_store.settings import Settings
from feature_store.topics import INTERACTIONS, ITEMS, PROFILES, Topic
from streaming import steps

#: Bytes of a bad message that its dead letter carries.
DEAD_LETTER_BODY: Final = 65_536

#: Records have no age: what an item is may have been said long ago.
FROM_EARLIEST: Final = "'scan.startup.mode' = 'earliest-offset'"
FROM_TIME: Final = "'scan.startup.mode' = 'timestamp', 'scan.startup.timestamp-millis' = '{since}'"

Fields = list[tuple[str, Any]]
#: What decoding yields: where the message was, why it is bad (or null), and its fields.
POSITION: Final[Fields] = [
    ("log_partition", DataTypes.INT()),
    ("log_offset", DataTypes.BIGINT()),
    ("reason", DataTypes.STRING()),
    ("body", DataTypes.BYTES()),
    ("append_time", DataTypes.BIGINT()),
]
INTERACTION: Final[Fields] = [
    ("event_id", DataTypes.STRING()),
    ("actor", DataTypes.STRING()),
    ("item_id", DataTypes.STRING()),
    ("type", DataTypes.STRING()),
    ("event_time", DataTypes.BIGINT()),
    ("quantity", DataTypes.BIGINT()),
    ("price_minor", DataTypes.BIGINT()),
    ("amount_minor", DataTypes.BIGINT()),
    ("weight", DataTypes.BIGINT()),
    ("query_text", DataTypes.STRING()),
    ("country", DataTypes.STRING()),
    ("actor_hash", DataTypes.BIGINT()),
]
RECORD: Final[Fields] = [("record_key", DataTypes.STRING()), ("record", DataTypes.STRING())]

SOURCE: Final = """
CREATE TEMPORARY TABLE `{table}` (
  message_key BYTES,
  message BYTES,
  `partition` INT METADATA VIRTUAL,
  `offset` BIGINT METADATA VIRTUAL,
  `timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL,
  {traceparent}
) WITH (
  'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{kafka}',
  'properties.group.id' = '{group}', 'properties.max.partition.fetch.bytes' = '4194304',
  'key.format' = 'raw', 'key.fields' = 'message_key',
  'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY',
  {startup}
)"""

ARRIVED: Final = """
SELECT message_key, message, `partition`, `offset`,
  EXTRACT(EPOCH FROM `timestamp`) * 1000 + EXTRACT(MILLISECOND FROM `timestamp`) AS appended,
  traceparent
FROM `{table}`"""
#: The header by which the one who sent a message names its trace. Where headers are declared, the
#: connector makes a map of them for each message, whether or not a query reads them.
TRACED: Final = """headers MAP<STRING, BYTES> METADATA VIRTUAL,
  traceparent AS DECODE(headers['traceparent'], 'UTF-8')"""
UNTRACED: Final = "traceparent AS CAST(NULL AS STRING)"


class DecodeInteraction(TableFunction):  # type: ignore[misc]
    """One message of `user-interactions` -> one row."""

    def eval(
        self, key: bytes, value: bytes | None, partition: int, offset: int, append_time: int
    ) -> Iterator[Row]:
        event = decode_interaction(value, append_time)
        if isinstance(event, InvalidEvent):
            yield _dead(partition, offset, append_time, event, value, len(INTERACTION))
            return
        yield Row(
            partition, offset, None, None, append_time,
            event.event_id, event.actor, event.item_id, event.type, event.event_time,
            event.quantity, event.price_minor, event.amount_minor, event.weight, event.query,
            event.country, event.actor_hash,
        )  # fmt: skip


class DecodeRecord(TableFunction):  # type: ignore[misc]
    """One message of `item-metadata` or `user-profile-updates` -> one row; "" is a tombstone."""

    def __init__(self, kind: Entity) -> None:
        self._kind = kind

    def eval(
        self, key: bytes | None, value: bytes | None, partition: int, offset: int, append_time: int
    ) -> Iterator[Row]:
        record = _decode_record(self._kind, key, value)
        if isinstance(record, InvalidEvent):
            yield _dead(partition, offset, append_time, record, value, len(RECORD))
        else:
            yield Row(partition, offset, None, None, append_time, *record)


def register(t_env: StreamTableEnvironment, settings: Settings, group: str, since: int) -> None:
    """Defines the views `interactions`, `items` and `profiles`, and `<topic>_letters` of each.

    Interactions are read from `since` (ms), less what a fast clock may be ahead.
    """
    arrived = _arrived(
        t_env, settings, INTERACTIONS, group, FROM_TIME.format(since=max(0, since - MAX_FUTURE_MS))
    )
    t_env.create_temporary_view("interactions", interactions(t_env, arrived))
    for topic, view, entity in ((ITEMS, "items", Entity.ITEM), (PROFILES, "profiles", Entity.USER)):
        arrived = _arrived(t_env, settings, topic, group, FROM_EARLIEST)
        decoded = _decoded(t_env, topic, arrived, DecodeRecord(entity), RECORD)
        valid = _valid(decoded, "record_key", "append_time", "log_offset", "record")
        t_env.create_temporary_view(view, valid)


def interactions(t_env: StreamTableEnvironment, arrived: Table) -> Table:
    """What messages (key, message, partition, offset, append time, traceparent) say."""
    sure, doubtful = steps.read_interactions(t_env, arrived)
    judged = _decoded(t_env, INTERACTIONS, doubtful, DecodeInteraction(), INTERACTION)
    fields = (name for name, _ in INTERACTION)
    return sure.union_all(_valid(judged, "append_time", *fields, "traceparent"))


def _arrived(
    t_env: StreamTableEnvironment, settings: Settings, topic: Topic, group: str, startup: str
) -> Table:
    """A topic's messages: (key, message, partition, offset, append time, traceparent)."""
    source = SOURCE.format(
        table=topic.name,
        topic=settings.topic(topic.name),
        kafka=settings.kafka,
        group=group,
        startup=startup,
        traceparent=TRACED if settings.traces and topic is INTERACTIONS else UNTRACED,
    )
    t_env.execute_sql(source)
    return t_env.sql_query(ARRIVED.format(table=topic.name))


def _decoded(
    t_env: StreamTableEnvironment,
    topic: Topic,
    arrived: Table,
    decoder: TableFunction,
    fields: Fields,
) -> Table:
    """What the contract makes of the messages; its complaints become the view of dead letters.

    The traceparent passes by it.
    """
    function = udtf(decoder, result_types=[kind for _, kind in POSITION + fields])
    *messages, traceparent = map(col, arrived.get_schema().get_field_names())
    names = [name for name, _ in POSITION + fields]
    joined = arrived.join_lateral(function(*messages).alias(*names))
    read = joined.select(*map(col, names), traceparent)
    decoded = steps.once(t_env, read)
    letters = steps.letters(t_env, decoded, topic.name)
    t_env.create_temporary_view(f"`{topic.name}_letters`", letters)
    return decoded


def _valid(decoded: Table, *names: str) -> Table:
    return decoded.filter(col("reason").is_null).select(*map(col, names))


def _decode_record(
    kind: Entity, key: bytes | None, value: bytes | None
) -> tuple[str, str] | InvalidEvent:
    if value is None:
        deleted = decode_tombstone(key)
        return deleted if isinstance(deleted, InvalidEvent) else (deleted, "")
    if kind is Entity.ITEM:
        item = decode_item(value)
        return item if isinstance(item, InvalidEvent) else (item.item_id, canonical(item))
    profile = decode_profile(value)
    if isinstance(profile, InvalidEvent):
        return profile
    return profile.user_id, canonical(profile)


def _dead(
    partition: int, offset: int, append_time: int, event: InvalidEvent, value: bytes | None, n: int
) -> Row:
    body = None if value is None else bytes(value[:DEAD_LETTER_BODY])
    return Row(partition, offset, event.reason, body, append_time, *[None] * n)
