"""A served vector is what the log says it should have been, or the night says what is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest

from batch.asof import AsOf
from batch.skew import Served, served, skew
from models.retrieval import retrieve
from models.rows import columns, rows
from tests.builders import DAY, HOUR, NOON
from tests.unit.batch.builders import DECLARATION, event, history, sources

NAMES = columns(DECLARATION)
EVENTS = (
    event("ann", "milk", 0),
    event("bob", "jam", HOUR),
    event("ann", "milk", 9 * DAY),
    event("bob", "milk", 10 * DAY),
)
LATE = event("ann", "jam", 10 * DAY + HOUR)
PAST = history(*EVENTS)
SOURCES = sources(PAST, NOON + 5 * DAY)
ASKED_AT = NOON + 11 * DAY


def shown(actor: str) -> list[Served]:
    """What a server that knows `EVENTS` ranks for somebody."""
    walk = AsOf(DECLARATION, PAST)
    walk.advance(ASKED_AT)
    user = walk.user(actor, ASKED_AT)
    found = retrieve(SOURCES, user, ASKED_AT, walk.trending(ASKED_AT))
    items = walk.columns(SOURCES.columns)
    vectors = rows(DECLARATION, SOURCES, items, user, found, ASKED_AT)
    return [
        Served(actor, ASKED_AT, SOURCES.item_ids[position], vector.copy())
        for position, vector in zip(found.positions, vectors, strict=True)
    ]


def impression(**said: Any) -> bytes:
    whole: Mapping[str, Any] = {
        "actor": "ann", "shown_at": 5, "bundle": "b1", "degraded": [],
        "items": [{"item_id": "milk", "vector": [1.5, None]}], **said,
    }  # fmt: skip
    return orjson.dumps(whole)


def test_what_was_served_from_the_same_events_is_the_same() -> None:
    found = skew(DECLARATION, PAST, SOURCES, [*shown("ann"), *shown("bob")])
    assert found.compared > 2
    assert found.none


def test_an_event_that_serving_had_not_seen_is_a_mismatch_in_the_columns_it_changes() -> None:
    fuller = history(*EVENTS, LATE)
    found = skew(DECLARATION, fuller, SOURCES, shown("ann"))
    assert found.mismatched == found.compared > 0
    assert {"user_purchases_7d", "user_days_since_last", "own_turns_since"} <= found.columns.keys()


def test_a_value_that_one_side_does_not_know_is_a_mismatch() -> None:
    (first, *_) = shown("ann")
    first.vector[NAMES.index("item_price_minor")] = np.nan
    found = skew(DECLARATION, PAST, SOURCES, [first])
    assert (found.mismatched, dict(found.columns)) == (1, {"item_price_minor": 1})


def test_an_item_that_nothing_would_have_offered_is_missing() -> None:
    stranger = Served("ann", ASKED_AT, "caviar", shown("ann")[0].vector)
    assert skew(DECLARATION, PAST, SOURCES, [stranger]).missing == 1


def test_a_history_over_other_items_is_refused() -> None:
    other = history(*EVENTS, event("ann", "ale", 0))
    with pytest.raises(ValueError, match="not the bundle's"):
        skew(DECLARATION, other, SOURCES, shown("ann"))


def test_only_whole_answers_of_the_bundle_count() -> None:
    messages = [
        impression(shown_at=9),
        impression(),
        impression(bundle="b0"),
        impression(degraded=["redis"]),
        impression(made_as="an earlier one"),
        impression(items=[{"item_id": "tea", "vector": None}]),
    ]
    found = served(messages, "b1")
    assert [one.shown_at for one in found] == [5, 9]
    np.testing.assert_array_equal(found[0].vector, [1.5, np.nan])
