"""Stacked conjugate gradients and the exact long row solve what folding in solves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batch import least_squares
from batch.least_squares import Histories, solve
from models.als import Als, Rule
from models.interactions import Floats, Ints

RULE = Rule(rank=4, alpha=5.0, regularisation=0.3, iterations=5)
FACTORS = np.random.default_rng(0).normal(size=(30, RULE.rank)).astype(np.float32)
#: One purchase, strength 1, as a rating.
ONCE = np.float32(np.log1p(1.0))


def histories(*rows: dict[int, float]) -> Histories:
    """Rows of item -> rating."""
    lengths = [len(row) for row in rows]
    return Histories(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([item for row in rows for item in row], np.int32),
        np.array([rating for row in rows for rating in row.values()], np.float32),
    )


def converged(rows: Histories, rule: Rule) -> Floats:
    """Half-steps against the same factors until nothing moves."""
    vectors = np.zeros((len(rows), rule.rank), np.float32)
    for _ in range(20):
        vectors = solve(rows, vectors, FACTORS, rule)
    return vectors


def folded(items: Ints, ratings: Floats, rule: Rule) -> Floats | None:
    """The vector that serving would solve; a rating is a damped strength."""
    return Als.build(rule, FACTORS).fold_in(items, np.sign(ratings) * np.expm1(np.abs(ratings)))


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("cells", [8, 16_384])
def test_a_trained_vector_is_the_one_folded_in(
    scaled: bool, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(least_squares, "CELLS", cells)
    rule = replace(RULE, scaled=scaled)
    rows = histories(
        {3: ONCE}, dict.fromkeys(range(12), ONCE), {1: ONCE, 2: -ONCE, 9: 2 * ONCE}, {7: 0.2, 8: 1}
    )
    for row, vector in enumerate(converged(rows, rule)):
        part = slice(rows.indptr[row], rows.indptr[row + 1])
        expected = folded(rows.columns[part], rows.ratings[part], rule)
        assert expected is not None
        np.testing.assert_allclose(vector, expected, rtol=1e-3, atol=1e-5)


def test_who_has_nothing_or_likes_nothing_is_zero() -> None:
    vectors = converged(histories({}, {4: -ONCE}, {5: ONCE}), RULE)
    assert vectors.any(axis=1).tolist() == [False, False, True]


def test_a_few_steps_from_the_last_vector_come_closer() -> None:
    rows = histories(dict.fromkeys(range(0, 30, 2), ONCE))
    goal = converged(rows, RULE)
    once = solve(rows, np.zeros_like(goal), FACTORS, RULE)
    twice = solve(rows, once, FACTORS, RULE)
    assert np.linalg.norm(twice - goal) <= np.linalg.norm(once - goal)
