"""The contracts: what is accepted, what is refused and with which reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from feature_store.events import (
    MAX_FUTURE_MS,
    MESSAGES,
    Interaction,
    InvalidEvent,
    canonical,
    decode_interaction,
    decode_item,
    decode_profile,
    json_schema,
    minor_units,
)
from tests.builders import NOON

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
GOOD = {"event_id": "e1", "user_id": "ann", "item_id": "milk", "type": "view", "event_time": NOON}


def decoded(**changes: Any) -> Interaction | InvalidEvent:
    return decode_interaction(orjson.dumps({**GOOD, **changes}), NOON)


def reason_of(result: object) -> str:
    assert isinstance(result, InvalidEvent)
    return result.reason


def test_a_good_interaction_becomes_flat_integers() -> None:
    event = decoded(type="purchase", price=2.5, quantity=3, context={"country": "NO"})
    assert isinstance(event, Interaction)
    assert (event.price_minor, event.amount_minor, event.weight) == (250, 750, 10)
    assert (event.actor, event.country, event.device) == ("ann", "NO", "")


def test_a_session_without_a_user_is_an_actor() -> None:
    event = decoded(user_id=None, session_id="s1")
    assert isinstance(event, Interaction)
    assert event.actor == "anon:s1"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "value: null"),
        (b"", "json: not valid JSON"),
        (b"\xff{", "json: not valid JSON"),
        (b'{"event_id":"e1"', "json: not valid JSON"),
        (b"[" * 100_000, "json: not valid JSON"),
        (b'"text"', "message: model_type"),
        (b'{"event_id":"\\ud800"}', "json: not valid JSON"),
    ],
)
def test_bytes_that_are_no_message_are_refused(value: bytes | None, reason: str) -> None:
    assert reason_of(decode_interaction(value, NOON)) == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema_version": 2}, "schema_version: unknown"),
        ({"schema_version": True}, "schema_version: unknown"),
        ({"schema_version": 1.0}, "schema_version: unknown"),
        ({"user_id": "anon:s1"}, "user_id: reserved for sessions"),
        ({"event_id": ""}, "event_id: string_too_short"),
        ({"event_id": "a\x00b"}, "event_id: string_pattern_mismatch"),
        ({"event_id": 7}, "event_id: string_type"),
        ({"user_id": None}, "actor: neither user_id nor session_id"),
        ({"item_id": None}, "item_id: missing"),
        ({"type": "stare"}, "type: literal_error"),
        ({"type": "search", "item_id": None}, "query: missing"),
        ({"type": "rating"}, "value: missing"),
        ({"event_time": -1}, "event_time: greater_than_equal"),
        ({"event_time": "noon"}, "event_time: int_type"),
        ({"event_time": NOON + MAX_FUTURE_MS + 1}, "event_time: from the future"),
        ({"quantity": 0}, "quantity: greater_than_equal"),
        ({"price": -1}, "price: greater_than_equal"),
        ({"context": {"country": 7}}, "context.country: string_type"),
    ],
)
def test_a_field_that_breaks_the_contract_is_named(change: dict[str, Any], reason: str) -> None:
    assert reason_of(decoded(**change)) == reason


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(number: str) -> None:
    body = orjson.dumps({**GOOD, "price": 0}).replace(b'"price":0', f'"price":{number}'.encode())
    assert reason_of(decode_interaction(body, NOON)).startswith("price: ")


def test_unknown_fields_are_ignored_and_counted() -> None:
    event = decoded(colour="red", mood="good", context={"weather": "rain"})
    assert isinstance(event, Interaction)
    assert event.unknown_fields == 3


def test_a_record_keeps_only_the_fields_of_the_contract() -> None:
    item = decode_item(b'{"item_id":"milk","title":"Milk","colour":"white"}')
    assert not isinstance(item, InvalidEvent)
    assert "white" not in canonical(item)


def test_a_reason_never_repeats_what_was_sent() -> None:
    assert "secret" not in reason_of(decoded(type="secret"))


def test_items_and_profiles_have_contracts_too() -> None:
    assert decode_item(b'{"item_id":"milk","title":"Milk","price":1.5}').price == 1.5  # type: ignore[union-attr]
    assert reason_of(decode_item(b'{"item_id":"milk"}')) == "title: missing"
    assert reason_of(decode_profile(b'{"user_id":"ann","consent":"yes"}')) == "consent: bool_type"


@pytest.mark.parametrize(
    ("price", "minor"), [(0.1, 10), (1.005, 100), (2.675, 268), (0, 0), (0.125, 13), (19.99, 1999)]
)
def test_money_is_rounded_half_up(price: float, minor: int) -> None:
    assert minor_units(price) == minor


@pytest.mark.parametrize("topic", MESSAGES)
def test_the_committed_schema_is_the_code(topic: str) -> None:
    committed = json.loads((SCHEMAS / f"{topic}.json").read_text())
    assert committed == json_schema(topic), "Run `make schemas` and commit docs/schemas."
