"""The training set knows nothing of the basket it asks about, nor of anything after it."""

from __future__ import annotations

import numpy as np
import pytest

from batch.asof import AsOf
from batch.lists import ranked
from batch.measure import measure
from batch.outcomes import outcomes
from batch.training_set import Basket, baskets, build, sample
from models.interactions import Floats
from models.rows import columns
from tests.builders import DAY, HOUR, MINUTE, NOON
from tests.unit.batch.builders import DECLARATION, event, history, sources
from tests.unit.batch.market import teacher

NAMES = columns(DECLARATION)
PAST = history(
    event("ann", "milk", 0),
    event("ann", "bread", 0),
    event("bob", "jam", HOUR),
    event("ann", "milk", 10 * DAY),
    event("ann", "tea", 10 * DAY),
    event("bob", "caviar", 11 * DAY),
)
CUT = NOON + 5 * DAY


def column(rows: Floats, name: str) -> list[float]:
    return [float(value) for value in rows[:, NAMES.index(name)]]


def test_a_basket_is_what_was_bought_in_one_visit() -> None:
    past = history(
        event("ann", "milk", 0),
        event("ann", "tea", 10 * MINUTE),
        event("ann", "jam", 15 * MINUTE, "view"),
        event("ann", "milk", 2 * HOUR),
    )
    ids = past.items.ids
    found = [(b.moment - NOON, {ids[p] for p in b.wanted}) for b in baskets(past, NOON, NOON + DAY)]
    assert found == [(0, {"milk", "tea"}), (2 * HOUR, {"milk"})]


def test_without_purchases_a_basket_is_what_was_liked() -> None:
    past = history(event("ann", "milk", 0, "view"), event("ann", "tea", 0, "dislike"))
    (basket,) = baskets(past, NOON, NOON + DAY)
    assert {past.items.ids[p] for p in basket.wanted} == {"milk"}


def test_lines_of_one_basket_do_not_predict_each_other() -> None:
    (query,) = build(DECLARATION, PAST, sources(PAST, CUT), baskets(PAST, CUT, NOON + 11 * DAY))
    assert set(column(query.rows, "user_recents")) == {2.0}
    assert set(column(query.rows, "item_purchases_24h")) == {0.0}
    assert set(column(query.rows, "user_days_since_last")) == {10.0}


def test_what_retrieval_missed_is_not_added_and_still_costs() -> None:
    asked = baskets(PAST, NOON + 11 * DAY, PAST.end)
    (query,) = build(DECLARATION, PAST, sources(PAST, CUT), asked)
    assert PAST.items.index_of["caviar"] not in query.candidates.positions
    assert not query.labels.any()
    test = ranked([query], None)
    measures = measure(test, outcomes(test, PAST, 10), len(PAST.items.ids))
    assert measures is not None
    assert measures.ndcg["served"] == 0.0
    assert measures.retrieval_recall == 0.0


def test_sources_that_saw_the_answers_are_refused() -> None:
    """The planted leak: sources fitted over the label window look wonderful and are worthless."""
    leaking = sources(PAST, PAST.end)
    with pytest.raises(ValueError, match="lies before the cut"):
        build(DECLARATION, PAST, leaking, baskets(PAST, CUT, PAST.end))


def test_sources_know_nothing_from_the_cut_on() -> None:
    honest, blind = sources(PAST, CUT), sources(history(*PAST.events[:3]), CUT)
    ours, theirs = (
        {known.item_ids[i]: float(s) for i, s in zip(owned.items, owned.strengths, strict=True)}
        for known in (honest, blind)
        for owned in [known.own.of("ann", (), known.index_of, CUT)]
    )
    assert ours == theirs
    assert honest.popularity[honest.index_of["caviar"]] == 0


def test_a_sample_is_the_same_every_night_and_in_order() -> None:
    asked = [Basket("a", moment, frozenset({1})) for moment in range(100)]
    drawn = sample(asked, 10)
    assert drawn == sample(asked, 10)
    assert drawn == sorted(drawn, key=lambda basket: basket.moment)
    assert sample(asked, 200) == asked


def test_a_walk_that_goes_on_answers_as_a_new_one_does() -> None:
    known, learned = sources(PAST, CUT), teacher(PAST)
    first, second = baskets(PAST, CUT, PAST.end)
    asked = [learned.build(known, [first]), learned.build(known, [second])]
    for found, basket in zip(asked, (first, second), strict=True):
        (query,), (fresh,) = found, build(DECLARATION, PAST, known, [basket])
        np.testing.assert_array_equal(query.rows, fresh.rows)
    (again,) = learned.build(known, [first])
    np.testing.assert_array_equal(again.rows, asked[0][0].rows)


def test_a_walk_does_not_go_back() -> None:
    walk = AsOf(DECLARATION, PAST)
    walk.advance(NOON + DAY)
    with pytest.raises(ValueError, match="begin another"):
        walk.advance(NOON)
