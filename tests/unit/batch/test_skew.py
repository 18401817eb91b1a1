"""A served vector is what the log says it should have been, or the night says what is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest

from batch.answers import Answer, Shown, answers
from batch.asof import AsOf
from batch.history import History
from batch.motion import NEVER, STILL, Motion
from batch.skew import Skew, skew
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


def answer(actor: str) -> Answer:
    """What a server that knows `EVENTS` ranks for somebody."""
    walk = AsOf(DECLARATION, PAST)
    walk.advance(ASKED_AT)
    user = walk.user(actor, ASKED_AT)
    found = retrieve(SOURCES, user, ASKED_AT, walk.trending(ASKED_AT))
    items = walk.columns(SOURCES.columns)
    vectors = rows(DECLARATION, SOURCES, items, user, found, ASKED_AT)
    ids = (SOURCES.item_ids[position] for position in found.positions)
    offers = found.offered_by(range(len(vectors)))
    shown = map(Shown, ids, offers, vectors.copy())
    return Answer(actor, ASKED_AT, tuple(shown))


def of_stranger(*sources: str) -> Answer:
    """An answer with an item that nothing would have offered."""
    vector = answer("ann").items[0].vector
    return Answer("ann", ASKED_AT, (Shown("caviar", sources, vector),))


def impression(**said: Any) -> bytes:
    whole: Mapping[str, Any] = {
        "actor": "ann", "shown_at": 5, "bundle": "b1", "degraded": [], "plain": True,
        "items": [{"item_id": "milk", "sources": ["own"], "vector": [1.5, None]}], **said,
    }  # fmt: skip
    return orjson.dumps(whole)


def compared(past: History, *answers: Answer, motion: Motion = STILL) -> Skew:
    return skew(DECLARATION, past, SOURCES, answers, motion)


def test_what_was_served_from_the_same_events_is_the_same() -> None:
    found = compared(PAST, answer("ann"), answer("bob"))
    assert found.compared > 2
    assert found.mismatched == found.moving == 0


def test_an_event_that_serving_had_not_seen_is_a_mismatch_in_the_columns_it_changes() -> None:
    found = compared(history(*EVENTS, LATE), answer("ann"))
    assert found.mismatched == found.compared > 0
    assert {"user_purchases_7d", "user_days_since_last", "own_turns_since"} <= found.columns.keys()


def test_what_was_on_its_way_is_passed_over_and_the_rest_compared() -> None:
    fuller, on_its_way = history(*EVENTS, LATE), [(LATE.event_time, NEVER)]
    of_ann = compared(fuller, answer("ann"), motion=Motion(actors={"ann": on_its_way}))
    assert (of_ann.compared, of_ann.moving) == (0, len(answer("ann").items))
    restless = Motion(items={"jam": on_its_way}, spans=np.asarray(on_its_way))
    of_jam = compared(fuller, answer("bob"), motion=restless)
    assert (of_jam.mismatched, of_jam.moving) == (0, 1)
    assert of_jam.compared > 0


def test_who_asked_to_be_erased_is_passed_over() -> None:
    assert compared(PAST, answer("ann"), motion=Motion(gone={"ann"})).compared == 0


def test_what_the_log_itself_changed_just_before_may_be_either() -> None:
    just_before = history(*EVENTS, event("bob", "jam", ASKED_AT - NOON - 1))
    found = compared(just_before, answer("ann"))
    assert (found.mismatched, found.compared) == (0, len(answer("ann").items))


def test_a_value_that_one_side_does_not_know_is_a_mismatch() -> None:
    whole = answer("ann")
    whole.items[0].vector[NAMES.index("item_price_minor")] = np.nan
    found = compared(PAST, whole)
    assert (found.mismatched, found.columns) == (1, {"item_price_minor": 1})


def test_an_item_that_nothing_would_have_offered_differs_unless_it_only_filled_the_list() -> None:
    found = compared(PAST, of_stranger("als"))
    assert (found.missing, found.mismatched) == (1, 1)
    assert compared(PAST, of_stranger("popular")).compared == 0


def test_a_history_over_other_items_is_refused() -> None:
    other = history(*EVENTS, event("ann", "ale", 0))
    with pytest.raises(ValueError, match="not the bundle's"):
        compared(other)


def test_only_whole_plain_answers_of_the_bundle_count() -> None:
    messages = [
        impression(shown_at=9),
        impression(),
        impression(bundle="b0"),
        impression(degraded=["redis"]),
        impression(made_as="an earlier one"),
        impression(plain=False),
    ]
    found = answers(messages, "b1")
    assert [one.shown_at for one in found] == [5, 9]
    np.testing.assert_array_equal(found[0].items[0].vector, [1.5, np.nan])


def test_an_item_that_was_not_ranked_has_nothing_to_compare() -> None:
    pinned = {"item_id": "tea", "sources": ["pinned"], "vector": None}
    (found,) = answers([impression(items=[pinned])], "b1")
    assert found.items == ()
