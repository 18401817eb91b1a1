"""Candidates say who offered them, and positions are nobody's secret."""

from __future__ import annotations

import numpy as np
import pytest

from models.retrieval import CAPS, retrieve
from models.sources import SOURCES, Sources
from tests.unit.models.builders import ITEMS, NOW, Row, log, recent, sources, user

ROWS: list[Row] = [
    ("ann", "milk", "purchase", 1.0),
    ("ann", "bread", "purchase", 1.0),
    ("bob", "milk", "purchase", 2.0),
    ("bob", "jam", "purchase", 2.0),
    ("eve", "beer", "view", 3.0),
]


def offers(found_in: Sources, actor: str, **kwargs: object) -> dict[str, dict[str, float]]:
    """Item -> source -> score."""
    found = retrieve(found_in, user(actor), NOW, **kwargs)  # type: ignore[arg-type]
    return {
        found_in.item_ids[position]: {
            name: float(found.scores[row, SOURCES.index(name)])
            for name in found.offered_by([row])[0]
        }
        for row, position in enumerate(found.positions)
    }


def test_every_candidate_was_offered_by_somebody() -> None:
    assert all(offers(sources(log(*ROWS)), "ann").values())


def test_a_newcomer_is_offered_what_is_popular_and_nothing_personal() -> None:
    found = offers(sources(log(*ROWS)), "new")
    assert {name for by in found.values() for name in by} == {"popular"}


def test_the_first_click_of_a_newcomer_makes_it_personal() -> None:
    found = retrieve(sources(log(*ROWS)), user("new", recent("milk", "click")), NOW)
    offered = {name for names in found.offered_by(range(len(found.positions))) for name in names}
    assert {"own", "covisitation", "als"} <= offered


def test_trending_scores_are_one_over_the_rank_among_known_items() -> None:
    listed = [("caviar", 9.0), ("tea", 5.0), ("jam", 2.0)]
    found = offers(sources(log(*ROWS)), "new", trending=listed)
    assert found["tea"]["trending"] == 1.0
    assert found["jam"]["trending"] == 0.5


def test_no_source_offers_more_than_its_cap_of_what_is_new_or_owned() -> None:
    caps = dict.fromkeys(CAPS, 1)
    found = retrieve(sources(log(*ROWS)), user("ann"), NOW, [("tea", 1.0), ("jam", 1.0)], caps)
    offered, own = ~np.isnan(found.scores), np.isin(found.positions, found.owned.items)
    assert (np.count_nonzero(offered[~own], axis=0) <= 1).all()
    assert np.count_nonzero(own) == 1


def test_own_items_do_not_use_up_what_a_source_may_offer() -> None:
    """The best sellers are all ann's: what is popular besides is offered all the same."""
    popular = SOURCES.index("popular")
    caps = {**dict.fromkeys(CAPS, 0), "own": 9, "popular": 1}
    found = retrieve(sources(log(*ROWS)), user("ann"), NOW, (), caps)
    new = ~np.isin(found.positions, found.owned.items)
    assert [ITEMS[p] for p in found.positions[new]] == ["jam"]
    assert not np.isnan(found.scores[:, popular]).any()


def test_what_nobody_ever_bought_is_offered_to_who_has_what_reads_like_it() -> None:
    """Tea is in the catalogue alone: of the other sources only the factors here, which are noise,
    know of it."""
    found = offers(sources(log(*ROWS)), "ann")
    assert "content" in found["tea"]
    assert set(found["tea"]) <= {"content", "als"}
    assert "tea" not in offers(sources(log(*ROWS)), "new")


def test_permuting_the_catalogue_changes_no_answer() -> None:
    shuffled = tuple(reversed(ITEMS))
    here, there = sources(log(*ROWS)), sources(log(*ROWS, items=shuffled), items=shuffled)
    there.als.factors[:] = here.als.factors[::-1]
    for actor in ("ann", "bob", "eve", "new"):
        ours, theirs = offers(here, actor), offers(there, actor)
        assert ours.keys() == theirs.keys()
        for item, by in ours.items():
            assert by == pytest.approx(theirs[item], rel=1e-5)


def test_what_a_person_bought_leads_a_blend_without_a_ranker() -> None:
    found = retrieve(sources(log(*ROWS)), user("ann"), NOW)
    best = ITEMS[found.positions[int(np.argmax(found.blended()))]]
    assert best in {"milk", "bread"}
