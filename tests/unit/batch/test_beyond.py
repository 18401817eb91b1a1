"""What a list is besides accurate, on a log of four people."""

from __future__ import annotations

import pytest

from batch.beyond import MMR_WEIGHTS, Beyond, beyond
from batch.lists import ranked
from batch.outcomes import outcomes
from batch.training_set import baskets, build, discovery
from models.sources import SOURCES
from tests.builders import DAY, NOON
from tests.unit.batch.builders import DECLARATION, event, history, sources

PAST = history(
    event("ann", "milk", 0),
    event("ann", "bread", 0),
    event("bob", "jam", 0),
    event("carl", "jam", 0),
    event("dan", "jam", 0),
    event("ann", "milk", DAY),
    event("ann", "milk", 10 * DAY),
    event("bob", "milk", 10 * DAY),
)
CUT = NOON + 5 * DAY
SOURCES_THEN = sources(PAST, CUT)
QUERIES = build(DECLARATION, PAST, SOURCES_THEN, baskets(PAST, CUT, PAST.end))
TEST = ranked(QUERIES, None)


@pytest.fixture(scope="module")
def found() -> Beyond:
    told = beyond(TEST, None, SOURCES_THEN, 2)
    assert told is not None
    return told


def test_nothing_is_told_without_queries() -> None:
    assert beyond([], None, SOURCES_THEN, 2) is None


def test_a_discovery_asks_only_for_what_is_new() -> None:
    by_actor = {query.basket.actor: discovery(query) for query in QUERIES}
    assert by_actor["ann"] is None
    new = by_actor["bob"]
    assert new is not None
    ids = PAST.items.ids
    assert {ids[p] for p in new.basket.wanted} == {"milk"}
    assert "jam" not in {ids[p] for p in new.candidates.positions}
    assert len(new.rows) == len(new.candidates.positions)


def test_own_history_knows_nothing_new_and_popularity_does(found: Beyond) -> None:
    assert found.discover["own"] == 0
    assert found.discover["popular"] > 0


def test_without_a_source_its_voice_is_gone_and_the_others_stay() -> None:
    first, served = beyond(TEST, None, SOURCES_THEN, 1), outcomes(TEST, PAST, 1).mean("served")
    assert first is not None
    assert first.mmr[0.0][1] == pytest.approx(served)
    assert first.without["own"] < served
    assert first.without["als"] == pytest.approx(served)


def test_figures_are_flat_numbers(found: Beyond) -> None:
    flat = found.flat()
    assert all(isinstance(value, float) for value in flat.values())
    assert {f"ndcg_without_{name}" for name in SOURCES} <= flat.keys()
    assert {f"ndcg_mmr_{weight}" for weight in MMR_WEIGHTS} <= flat.keys()


def test_a_figure_that_nobody_has_is_left_out() -> None:
    (known,) = [one for one in TEST if one.query.basket.actor == "ann"]
    told = beyond([known], None, SOURCES_THEN, 2)
    assert told is not None
    assert "ndcg_new_served" not in told.flat()  # what ann took was not new to her
    assert "ndcg_mmr_0.0" in told.flat()
