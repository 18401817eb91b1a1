"""The largest products among many items are found without looking at most of them."""

from __future__ import annotations

import numpy as np
import pytest

from feature_store import kernels
from models.als import FEW, Als, Rule
from models.inner_product import CODE, VECTOR_CODE, NormOrder
from models.interactions import Floats
from models.topk import top

RANK, CAP = 16, 100
RULE = Rule(RANK, 10.0, 0.1, 5)


def factors(items: int = 3 * FEW, seed: int = 0) -> Floats:
    """Directions in a few clusters, norms as uneven as trained ones, some items untrained."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(50, RANK))
    rows = centres[rng.integers(0, 50, items)] + 0.5 * rng.normal(size=(items, RANK))
    rows *= np.exp(rng.normal(-2.0, 1.0, items))[:, None]
    rows[rng.random(items) < 0.1] = 0
    return rows.astype(np.float32)


def vectors(count: int = 30) -> Floats:
    return np.random.default_rng(1).normal(size=(count, RANK)).astype(np.float32)


def test_the_best_are_those_of_a_scan_of_everything() -> None:
    rows = factors()
    als = Als.build(RULE, rows)
    found = 0
    for vector in vectors():
        items, scores = als.best(vector, CAP)
        wanted, best = top(rows @ vector, CAP)
        found += len(np.intersect1d(items, wanted))
        np.testing.assert_allclose(scores, np.sort(rows[items] @ vector)[::-1], rtol=1e-5)
        assert scores[0] == pytest.approx(best[0], rel=1e-5)
    assert found >= 0.99 * CAP * len(vectors())


def test_permuting_the_catalogue_changes_no_answer() -> None:
    rows = factors()
    shuffle = np.random.default_rng(3).permutation(len(rows))
    here, there = Als.build(RULE, rows), Als.build(RULE, rows[shuffle])
    for vector in vectors(5):
        mine, theirs = here.best(vector, CAP)[0], shuffle[there.best(vector, CAP)[0]]
        assert len(np.intersect1d(mine, theirs)) >= CAP - 1


def test_building_twice_gives_the_same_bytes() -> None:
    one, two = NormOrder.build(factors()), NormOrder.build(factors())
    for name in ("order", "norms", "scales", "codes"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()


@pytest.mark.parametrize("items", [0, 1, 63, 64, 65, 1000])
def test_items_without_a_product_above_zero_are_not_offered(items: int) -> None:
    rows = factors(items)
    search = NormOrder.build(rows).search(rows)
    assert search is not None
    for vector in (*vectors(3), np.zeros(RANK, np.float32)):
        offered, scores = search.best(vector, items)
        # The error of codes: half a step of a row in each dimension, and as much of the vector.
        error = np.abs(rows).max(axis=1) * (
            np.abs(vector).sum() / (2 * CODE) + RANK * np.abs(vector).max() / VECTOR_CODE
        )
        assert set(np.flatnonzero(rows @ vector > error)) <= set(offered)
        assert (scores > 0).all()
        np.testing.assert_allclose(scores, rows[offered] @ vector, rtol=1e-4)


def test_without_a_compiler_everything_is_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, vector = factors(), vectors(1)[0]
    monkeypatch.setattr(kernels, "COMPILERS", ("no-such-compiler",))
    kernels.kernel.cache_clear()
    try:
        items, _ = Als.build(RULE, rows).best(vector, CAP)
    finally:
        kernels.kernel.cache_clear()
    np.testing.assert_array_equal(items, top(rows @ vector, CAP)[0])
