"""Lists of gowalla: the best of what is not known yet, best first, ties by position."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from benchmarks.gowalla import K, best


def test_the_best_of_a_row_are_what_a_full_sort_says() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(-3, 4, (30, 400)).astype(np.float32)
    scores[::3] = np.where(rng.random((10, 400)) < 0.02, 1.0, 0.0)  # few above zero
    known = sparse.csr_matrix((rng.random(scores.shape) < 0.1).astype(np.float32))
    left = np.where(known.toarray() > 0, -np.inf, scores)
    expected = np.argsort(-left, axis=1, kind="stable")[:, :K]
    np.testing.assert_array_equal(np.array(best(scores, known)), expected)
