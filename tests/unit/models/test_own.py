"""A person's own history counts visits, fades, and takes in what happened since last night."""

from __future__ import annotations

import numpy as np
import pytest

from feature_store.stores.base import Recent
from models import own, slim
from tests.unit.models.builders import ITEMS, NOW, Row, log, recent

INDEX = {item: position for position, item in enumerate(ITEMS)}
HALF_LIFE = 30.0


def strengths(actor: str, rows: list[Row], *recents: Recent, cut: int = NOW) -> dict[str, float]:
    history = own.fit(log(*rows).before(cut), cut, HALF_LIFE)
    owned = history.of(actor, recents, INDEX, NOW)
    return {ITEMS[i]: round(float(v), 4) for i, v in zip(owned.items, owned.strengths, strict=True)}


def test_buying_twice_in_one_visit_counts_once() -> None:
    rows: list[Row] = [("ann", "milk", "purchase", 30.0), ("ann", "milk", "purchase", 30.001)]
    assert strengths("ann", rows) == {"milk": pytest.approx(0.5, abs=1e-3)}


def test_two_visits_count_twice_and_halve_in_a_half_life() -> None:
    rows: list[Row] = [("ann", "milk", "purchase", 60.0), ("ann", "milk", "purchase", 30.0)]
    assert strengths("ann", rows) == {"milk": 0.75}


def test_other_peoples_history_is_not_mine() -> None:
    rows: list[Row] = [("ann", "milk", "purchase", 30.0), ("bob", "tea", "purchase", 30.0)]
    assert strengths("bob", rows) == {"tea": 0.5}
    assert strengths("new", rows) == {}


def test_last_night_and_the_hours_since_add_up_to_the_whole() -> None:
    rows: list[Row] = [
        ("ann", "milk", "purchase", 40.0),
        ("ann", "milk", "purchase", 2.0),
        ("ann", "tea", "view", 1.0),
    ]
    cut = NOW - 10 * 86_400_000
    live = [recent("milk", "purchase", 2.0, "a"), recent("tea", "view", 1.0, "b")]
    assert strengths("ann", rows, *live, cut=cut) == strengths("ann", rows)


def test_recents_that_the_night_has_counted_are_not_counted_again() -> None:
    rows: list[Row] = [("ann", "milk", "purchase", 30.0)]
    assert strengths("ann", rows, recent("milk", "purchase", 30.0)) == {"milk": 0.5}


def test_what_arrives_after_the_night_counts_even_if_it_happened_before_the_cut() -> None:
    rows: list[Row] = [("ann", "milk", "purchase", 30.0)]
    assert strengths("ann", rows, recent("tea", "purchase", 15.0)).keys() == {"milk", "tea"}
    assert strengths("new", rows, recent("tea", "purchase", 15.0)).keys() == {"tea"}


def test_a_refusal_weighs_against() -> None:
    rows: list[Row] = [("ann", "milk", "view", 30.0)]
    assert strengths("ann", rows, recent("milk", "dislike", 0.0))["milk"] < 0


def test_an_item_the_bundle_does_not_know_is_left_out() -> None:
    assert strengths("ann", [], recent("caviar")) == {}


def test_positions_stay_within_the_catalogue() -> None:
    history = own.fit(log(("ann", "tea", "purchase", 1.0)), NOW, HALF_LIFE)
    assert history.items.tolist() == [INDEX["tea"]]
    np.testing.assert_array_equal(history.indptr, [0, 1])


def test_what_is_liked_leaves_out_refusals_and_the_history_as_it_was() -> None:
    history = own.fit(
        log(
            ("ann", "milk", "dislike", 1.0),
            ("ann", "tea", "view", 1.0),
            ("bob", "tea", "view", 1.0),
        ),
        NOW,
        HALF_LIFE,
    )
    items, rows = history.items.copy(), history.indptr.copy()
    assert slim.liked(history, len(ITEMS)).indices.tolist() == [INDEX["tea"], INDEX["tea"]]
    np.testing.assert_array_equal(history.items, items)
    np.testing.assert_array_equal(history.indptr, rows)


def test_the_kernel_adds_what_numpy_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit of a sum or two: the exponent of a decay is each library's own."""
    minute = 60_000
    for seed in range(40):
        rng = np.random.default_rng(seed)
        kinds, items = ("view", "purchase", "dislike", "add_to_cart", "search"), (*ITEMS, "gone")
        known = [
            ("ann", rng.choice(ITEMS), rng.choice(kinds), 20 + float(rng.random()))
            for _ in range(int(rng.integers(0, 12)))
        ]
        history = own.fit(log(*known).before(NOW), NOW, HALF_LIFE)
        recents = [
            Recent(NOW - int(ago) * minute, f"e{n}", rng.choice(kinds), rng.choice(items), 1, 9, "")
            for n, ago in enumerate(np.sort(rng.integers(-5, 300, rng.integers(1, 60))))
        ]
        fast = history.of("ann", recents, INDEX, NOW)
        with monkeypatch.context() as slow:
            slow.setattr(own, "kernel", lambda _: None)
            wanted = history.of("ann", recents, INDEX, NOW)
        for mine, theirs in zip(fast.arrays, wanted.arrays, strict=True):
            assert mine.dtype == theirs.dtype
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
        assert fast.turns == wanted.turns
