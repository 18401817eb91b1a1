"""Every message of every topic becomes one row: typed, or with its reason and its bytes."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pytest

from batch.decoding import SCHEMAS, decoder

NOW = 1_773_144_000_000
PURCHASE = {
    "event_id": "e1", "user_id": "ann", "item_id": "milk", "type": "purchase",
    "event_time": NOW, "quantity": 2, "price": 1.25,
}  # fmt: skip


def decoded(topic: str, value: bytes | None, key: bytes | None = b"k") -> dict[str, Any]:
    message = {"partition": 1, "offset": 7, "append_time": NOW, "key": key, "value": value}
    types = {"partition": pa.int32(), "key": pa.binary(), "value": pa.binary()}
    schema = pa.schema([(name, types.get(name, pa.int64())) for name in message])
    batch = pa.RecordBatch.from_pylist([message], schema=schema)
    (out,) = decoder(topic)([batch])
    assert out.schema == SCHEMAS[topic]
    return dict(out.to_pylist()[0])


def test_a_purchase_is_typed_with_money_in_minor_units() -> None:
    row = decoded("user-interactions", orjson.dumps(PURCHASE))
    assert (row["actor"], row["amount_minor"], row["weight"], row["offset"]) == ("ann", 250, 10, 7)
    assert row["reason"] is None
    assert row["raw"] is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{not json", "json: not valid JSON"),
        (b"\xff\xfe", "json: not valid JSON"),
        (orjson.dumps({**PURCHASE, "schema_version": 9}), "schema_version: unknown"),
        (orjson.dumps({**PURCHASE, "item_id": None}), "item_id: missing"),
    ],
)
def test_what_the_contract_refuses_keeps_its_bytes(value: bytes, reason: str) -> None:
    row = decoded("user-interactions", value)
    assert (row["reason"], row["raw"], row["actor"]) == (reason, value, None)


def test_a_null_interaction_is_invalid_but_a_null_item_is_a_deletion() -> None:
    assert decoded("user-interactions", None)["reason"] == "value: null"
    gone = decoded("item-metadata", None, b"milk")
    assert (gone["item_id"], gone["deleted"], gone["reason"]) == ("milk", True, None)
    assert decoded("item-metadata", None, None)["reason"] == "key: null"


def test_items_and_profiles_are_typed() -> None:
    item = {"item_id": "milk", "title": "Milk", "category": ["Food", "Dairy"], "price": 0.99}
    row = decoded("item-metadata", orjson.dumps(item))
    assert (row["title"], row["category"], row["price_minor"]) == ("Milk", ["Food", "Dairy"], 99)
    profile = decoded("user-profile-updates", orjson.dumps({"user_id": "ann", "consent": False}))
    assert (profile["user_id"], profile["consent"], profile["deleted"]) == ("ann", False, False)


def test_a_description_keeps_its_bytes_so_that_a_store_can_be_refilled_with_all_of_it() -> None:
    said = orjson.dumps({"item_id": "milk", "title": "Milk", "description": "whole"})
    assert decoded("item-metadata", said)["raw"] == said
    assert decoded("item-metadata", None, b"milk")["raw"] is None


def test_an_impression_is_kept_as_it_is() -> None:
    said = orjson.dumps(
        {"impression_id": "i1", "actor": "ann", "shown_at": 5, "mode": "mixed", "columns": "c",
         "items": [{"item_id": "milk", "position": 0, "score": 0.5, "sources": ["own"],
                    "vector": [1.0, None]}]}
    )  # fmt: skip
    row = decoded("recommendation-impressions", said, b"ann")
    assert (row["actor"], row["body"]) == ("ann", said.decode())


@pytest.mark.parametrize(
    ("value", "reason"),
    [(b"{", "json: not valid JSON"), (b'{"items":[1]}', "impression_id: missing"),
     (b"[]", "message: model_type"), (None, "value: null")],
)  # fmt: skip
def test_an_impression_that_nobody_of_ours_wrote_breaks_no_night(
    value: bytes | None, reason: str
) -> None:
    assert decoded("recommendation-impressions", value, b"ann")["reason"] == reason
