"""Folding a user in follows the rule the factors were trained with, Spark's."""

from __future__ import annotations

import numpy as np
import pytest

from models.als import Als, Rule, rating
from models.interactions import Floats, Ints

RULE = Rule(rank=3, alpha=20.0, regularisation=0.05, iterations=5)
FACTORS = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def brute_force(items: Ints, strengths: Floats) -> Floats:
    """The minimum of Spark's implicit objective, written out over all items."""
    confidence, preference = np.ones(len(FACTORS)), np.zeros(len(FACTORS))
    ratings = rating(strengths)
    confidence[items] += RULE.alpha * np.abs(ratings)
    preference[items] = ratings > 0
    ridge = RULE.regularisation * np.count_nonzero(ratings > 0)
    weighted = FACTORS * confidence[:, None]
    left = weighted.T @ FACTORS + ridge * np.eye(RULE.rank)
    return np.linalg.solve(left, weighted.T @ preference)


def test_fold_in_solves_sparks_objective() -> None:
    items, strengths = np.array([1, 4, 6], np.int32), np.array([2.0, 0.3, 1.0], np.float32)
    user = Als.build(RULE, FACTORS).fold_in(items, strengths)
    assert user is not None
    np.testing.assert_allclose(user, brute_force(items, strengths), rtol=1e-4)


def test_a_refused_item_is_pulled_towards_zero() -> None:
    als = Als.build(RULE, FACTORS)
    items = np.array([1, 4], np.int32)
    neutral = als.fold_in(items, np.array([1.0, 0.0], np.float32))
    refused = als.fold_in(items, np.array([1.0, -2.0], np.float32))
    assert neutral is not None
    assert refused is not None
    assert abs(FACTORS[4] @ refused) < abs(FACTORS[4] @ neutral)


@pytest.mark.parametrize("strengths", [[], [-1.0, -2.0], [0.0, 0.0]])
def test_someone_who_likes_nothing_known_has_no_vector(strengths: list[float]) -> None:
    items = np.arange(len(strengths), dtype=np.int32)
    assert Als.build(RULE, FACTORS).fold_in(items, np.array(strengths, np.float32)) is None


def test_items_that_were_not_trained_do_not_count() -> None:
    factors = FACTORS.copy()
    factors[2] = 0
    als = Als.build(RULE, factors)
    alone = als.fold_in(np.array([1], np.int32), np.ones(1, np.float32))
    beside = als.fold_in(np.array([1, 2], np.int32), np.ones(2, np.float32))
    assert alone is not None
    assert beside is not None
    np.testing.assert_allclose(alone, beside)


def test_candidates_come_best_first() -> None:
    positions, scores = Als.build(RULE, FACTORS).candidates(
        np.array([1], np.int32), np.ones(1, np.float32), cap=4
    )
    assert 1 in positions
    assert list(scores) == sorted(scores, reverse=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_factors_that_are_not_finite_are_refused(value: float) -> None:
    diverged = FACTORS.copy()
    diverged[3] = value
    with pytest.raises(ValueError, match="not finite"):
        Als.build(RULE, diverged)


@pytest.mark.parametrize("rank", [1, 7, 16])
@pytest.mark.parametrize("scaled", [True, False])
def test_the_kernel_folds_in_as_the_equations_say(rank: int, scaled: bool) -> None:
    rng = np.random.default_rng(rank)
    rows = rng.normal(size=(60, rank)).astype(np.float32)
    rows[::5] = 0  # never trained
    als = Als.build(Rule(rank, 8.0, 0.2, 1, scaled), rows)
    for _ in range(20):
        items = rng.choice(60, rng.integers(0, 20), replace=False).astype(np.int32)
        strengths = rng.integers(-2, 4, len(items)).astype(np.float32)
        wanted, user = als.fold_in_by_numpy(items, strengths), als.fold_in(items, strengths)
        assert (user is None) == (wanted is None)
        if user is not None and wanted is not None:
            np.testing.assert_allclose(user, wanted, rtol=1e-4, atol=1e-6)
