"""Where messages come from: Kafka as bytes, decoded once each into fields or a reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pyflink.common import Row
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.udf import TableFunction, udtf

from feature_store.declaration import Entity
from feature_store.events import (
    MAX_FUTURE_MS,
    InvalidEvent,
    canonical,
    decode_interaction,
    decode_item,
    decode_profile,
)
from feature_store.settings import Settings
from feature_store.topics import INTERACTIONS, ITEMS, PROFILES, Topic

#: Bytes of a bad message that its dead letter carries.
DEAD_LETTER_BODY: Final = 65_536

#: Records have no age: what an item is may have been said long ago.
FROM_EARLIEST: Final = "'scan.startup.mode' = 'earliest-offset'"
FROM_TIME: Final = "'scan.startup.mode' = 'timestamp', 'scan.startup.timestamp-millis' = '{since}'"

#: What decoding yields: where the message was, why it is bad (or null), and its fields.
POSITION: Final = [
    ("log_partition", DataTypes.INT()),
    ("log_offset", DataTypes.BIGINT()),
    ("append_time", DataTypes.BIGINT()),
    ("reason", DataTypes.STRING()),
    ("body", DataTypes.BYTES()),
]
INTERACTION: Final = [
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
]
RECORD: Final = [("record_key", DataTypes.STRING()), ("record", DataTypes.STRING())]

SOURCE: Final = """
CREATE TEMPORARY TABLE `{table}` (
  message_key BYTES,
  message BYTES,
  `partition` INT METADATA VIRTUAL,
  `offset` BIGINT METADATA VIRTUAL,
  `timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL
) WITH (
  'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{kafka}',
  'properties.group.id' = '{group}', 'properties.max.partition.fetch.bytes' = '4194304',
  'key.format' = 'raw', 'key.fields' = 'message_key',
  'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY',
  {startup}
)"""

DECODED: Final = """
CREATE TEMPORARY VIEW {view} AS
SELECT d.* FROM `{table}`, LATERAL TABLE({function}(
  message_key, message, `partition`, `offset`,
  EXTRACT(EPOCH FROM `timestamp`) * 1000 + EXTRACT(MILLISECOND FROM `timestamp`)
)) AS d({columns})"""


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
            partition, offset, append_time, None, None,
            event.event_id, event.actor, event.item_id, event.type, event.event_time,
            event.quantity, event.price_minor, event.amount_minor, event.weight, event.query,
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
            yield Row(partition, offset, append_time, None, None, *record)


def register(t_env: StreamTableEnvironment, settings: Settings, group: str, since: int) -> None:
    """Defines the tables of the three topics and the views of their decoded messages.

    Interactions are read from `since` (ms), less what a fast clock may be ahead.
    """
    from_since = FROM_TIME.format(since=max(0, since - MAX_FUTURE_MS))
    decoders = (
        (INTERACTIONS, "interactions", from_since, DecodeInteraction(), INTERACTION),
        (ITEMS, "items", FROM_EARLIEST, DecodeRecord(Entity.ITEM), RECORD),
        (PROFILES, "profiles", FROM_EARLIEST, DecodeRecord(Entity.USER), RECORD),
    )
    for topic, view, startup, decoder, fields in decoders:
        source = SOURCE.format(
            table=topic.name,
            topic=settings.topic(topic.name),
            kafka=settings.kafka,
            group=group,
            startup=startup,
        )
        t_env.execute_sql(source)
        _register_decoder(t_env, topic, view, decoder, POSITION + fields)


def _register_decoder(
    t_env: StreamTableEnvironment,
    topic: Topic,
    view: str,
    decoder: TableFunction,
    fields: list[tuple[str, Any]],
) -> None:
    function = udtf(decoder, result_types=[kind for _, kind in fields])
    t_env.create_temporary_system_function(f"decode_{view}", function)
    columns = ", ".join(name for name, _ in fields)
    t_env.execute_sql(
        DECODED.format(view=view, table=topic.name, function=f"decode_{view}", columns=columns)
    )


def _decode_record(
    kind: Entity, key: bytes | None, value: bytes | None
) -> tuple[str, str] | InvalidEvent:
    if value is None:
        return _tombstone(key)
    if kind is Entity.ITEM:
        item = decode_item(value)
        return item if isinstance(item, InvalidEvent) else (item.item_id, canonical(item))
    profile = decode_profile(value)
    if isinstance(profile, InvalidEvent):
        return profile
    return profile.user_id, canonical(profile)


def _tombstone(key: bytes | None) -> tuple[str, str] | InvalidEvent:
    try:
        return ((key or b"").decode(), "") if key else InvalidEvent("key: null")
    except UnicodeDecodeError:
        return InvalidEvent("key: not UTF-8")


def _dead(
    partition: int, offset: int, append_time: int, event: InvalidEvent, value: bytes | None, n: int
) -> Row:
    body = None if value is None else bytes(value[:DEAD_LETTER_BODY])
    return Row(partition, offset, append_time, event.reason, body, *[None] * n)
