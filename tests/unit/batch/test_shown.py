"""Lists that were shown: what of them was looked at, and what was taken."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from batch.shown import SOON_MS, shown
from batch.training_set import Basket, build
from tests.builders import DAY, MINUTE, NOON
from tests.unit.batch.builders import DECLARATION, event, history, sources

PAST = history(
    event("ann", "milk", 0),
    event("ann", "bread", 0),
    event("ann", "jam", 0),
    event("ann", "tea", 0),
    event("ann", "bread", 10 * DAY + MINUTE, "view"),
    event("ann", "milk", 10 * DAY + 2 * SOON_MS),
)
SHOWN = NOON + 10 * DAY


def told(*items: str, **changed: Any) -> bytes:
    """An impression, as far as it is read."""
    placed = [{"item_id": item, "vector": None} for item in items]
    return orjson.dumps({"actor": "ann", "shown_at": SHOWN, "items": placed, **changed})


def named(items: frozenset[int] | None) -> set[str]:
    return {PAST.items.ids[item] for item in items or ()}


def test_people_look_one_place_behind_what_they_take() -> None:
    (basket,) = shown([told("tea", "bread", "jam", "milk")], PAST, PAST.end)
    assert (basket.actor, basket.moment) == ("ann", SHOWN)
    assert named(basket.wanted) == {"bread"}
    assert named(basket.looked) == {"tea", "bread", "jam"}


@pytest.mark.parametrize(
    "message",
    [told("milk", "tea"), told("bread", actor="bob"), told("bread", shown_at=SHOWN + 2 * MINUTE)],
    ids=["taken too late", "by somebody else", "taken before"],
)
def test_a_list_that_moved_nobody_says_nothing(message: bytes) -> None:
    assert shown([message], PAST, PAST.end) == []


def test_what_was_taken_in_the_test_is_not_known_in_training() -> None:
    assert shown([told("bread")], PAST, SHOWN + MINUTE) == []


def test_items_that_are_gone_are_passed_over() -> None:
    (basket,) = shown([told("gone", "bread")], PAST, PAST.end)
    assert named(basket.looked) == {"bread"}


def test_lists_come_in_order_of_time() -> None:
    later, earlier = told("bread"), told("bread", shown_at=SHOWN - MINUTE)
    assert [one.moment for one in shown([later, earlier], PAST, PAST.end)] == [
        SHOWN - MINUTE, SHOWN,
    ]  # fmt: skip


def test_what_was_not_looked_at_is_no_candidate() -> None:
    fitted = sources(PAST, NOON + 5 * DAY)
    index = PAST.items.index_of
    looked = frozenset({index["tea"], index["bread"]})
    asked = Basket("ann", SHOWN, frozenset({index["bread"]}), looked)
    (query,) = build(DECLARATION, PAST, fitted, [asked])
    assert named(frozenset(query.candidates.positions.tolist())) == {"tea", "bread"}
    assert len(query.rows) == len(query.candidates.scores) == 2
    assert query.labels.sum() == 1
