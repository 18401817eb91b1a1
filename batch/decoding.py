"""Bytes of a topic become typed columns, by the contracts of `feature_store.events`.

Runs in Spark's Python workers, one Arrow batch at a time. What a contract refuses is kept too:
with its reason and its raw bytes, so that a corrected contract can read it again; so are the bytes
of descriptions and profiles, because a store keeps more of them than training reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any, Final

import pyarrow as pa

from feature_store import topics
from feature_store.events import (
    Interaction,
    InvalidEvent,
    decode_impression,
    decode_interaction,
    decode_item,
    decode_profile,
    minor_units,
)

Row = dict[str, Any]
Decode = Callable[[bytes | None, bytes | None, int], Row]

PLACE: Final = [
    pa.field("partition", pa.int32()),
    pa.field("offset", pa.int64()),
    pa.field("append_time", pa.int64()),
    pa.field("reason", pa.string()),
    pa.field("raw", pa.binary()),
]
_TEXT, _LONG = pa.string(), pa.int64()
#: Of a description, so many characters are read; `raw` has them all.
DESCRIPTION: Final = 500
_FIELDS: Final = [field.name for field in fields(Interaction)]


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([*PLACE, *(pa.field(name, kind) for name, kind in columns.items())])


SCHEMAS: Final[dict[str, pa.Schema]] = {
    topics.INTERACTIONS.name: _schema(
        event_id=_TEXT, actor=_TEXT, item_id=_TEXT, type=_TEXT, event_time=_LONG,
        quantity=_LONG, price_minor=_LONG, amount_minor=_LONG, weight=_LONG, value=pa.float64(),
        query=_TEXT, device=_TEXT, country=_TEXT, page=_TEXT, unknown_fields=pa.int32(),
    ),
    topics.ITEMS.name: _schema(
        item_id=_TEXT, deleted=pa.bool_(), title=_TEXT, description=_TEXT,
        category=pa.list_(_TEXT), brand=_TEXT, price_minor=_LONG, tags=pa.list_(_TEXT),
        available=pa.bool_(), created_at=_LONG,
    ),
    topics.PROFILES.name: _schema(
        user_id=_TEXT, deleted=pa.bool_(), segment=_TEXT, country=_TEXT, consent=pa.bool_(),
    ),
    topics.IMPRESSIONS.name: _schema(actor=_TEXT, body=_TEXT),
}  # fmt: skip


def decoder(topic: str) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """A function for `mapInArrow` over (partition, offset, append_time, key, value)."""
    decode, schema = DECODERS[topic], SCHEMAS[topic]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [_row(decode, message) for message in batch.to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, schema=schema)

    return run


def _row(decode: Decode, message: Row) -> Row:
    key, value = message.pop("key"), message.pop("value")
    decoded = decode(key, value, message["append_time"])
    kept = value if "reason" in decoded else None
    return {**message, "raw": kept, **decoded}


def _interaction(key: bytes | None, value: bytes | None, append_time: int) -> Row:
    event = decode_interaction(value, append_time)
    if isinstance(event, InvalidEvent):
        return {"reason": event.reason}
    return {name: getattr(event, name) for name in _FIELDS}


def _item(key: bytes | None, value: bytes | None, append_time: int) -> Row:
    if value is None:
        return _tombstone("item_id", key)
    item = decode_item(value)
    if isinstance(item, InvalidEvent):
        return {"reason": item.reason}
    said = item.model_dump(include={"item_id", "title", "category", "brand", "tags"})
    price = None if item.price is None else minor_units(item.price)
    state = {"available": item.available, "created_at": item.created_at}
    told = {"description": item.description[:DESCRIPTION], "price_minor": price}
    return {**said, **state, **told, "deleted": False, "raw": value}


def _profile(key: bytes | None, value: bytes | None, append_time: int) -> Row:
    if value is None:
        return _tombstone("user_id", key)
    profile = decode_profile(value)
    if isinstance(profile, InvalidEvent):
        return {"reason": profile.reason}
    said = profile.model_dump(include={"user_id", "segment", "country", "consent"})
    return {**said, "deleted": False, "raw": value}


def _impression(key: bytes | None, value: bytes | None, append_time: int) -> Row:
    shown = decode_impression(value)
    if isinstance(shown, InvalidEvent):
        return {"reason": shown.reason}
    return {"actor": shown.actor, "body": (value or b"").decode()}


def _tombstone(column: str, key: bytes | None) -> Row:
    try:
        return {column: (key or b"").decode(), "deleted": True} if key else {"reason": "key: null"}
    except UnicodeDecodeError:
        return {"reason": "key: not UTF-8"}


DECODERS: Final[dict[str, Decode]] = {
    topics.INTERACTIONS.name: _interaction,
    topics.ITEMS.name: _item,
    topics.PROFILES.name: _profile,
    topics.IMPRESSIONS.name: _impression,
}
