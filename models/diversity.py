"""Maximal marginal relevance: a list whose places do not all say the same."""

from __future__ import annotations

import numpy as np

from models.interactions import Floats, Ints


def mmr(scores: Floats, kinds: Ints, weight: float, k: int) -> Ints:
    """Rows of the first `k` places (Carbonell and Goldstein 1998), best first, ties by row.

    A place goes to the row with the most of its score (scaled to 0..1 over all rows) less `weight`
    times the share of the places before it that are of its kind. `scores` and `kinds` (codes, -1
    unlike any) are (rows,); weight 0 keeps the order of the scores.
    """
    spread = float(scores.max(initial=0) - scores.min(initial=0)) or 1.0
    left = (scores - scores.min(initial=0)) / spread
    _, kind = np.unique(np.where(kinds < 0, -1 - np.arange(len(kinds)), kinds), return_inverse=True)
    seen = np.zeros(len(kinds))
    chosen: list[int] = []
    for place in range(min(k, len(scores))):
        best = int(np.argmax(left - weight * seen[kind] / max(place, 1)))
        chosen.append(best)
        left[best] = -np.inf
        seen[kind[best]] += 1
    return np.asarray(chosen, np.int32)
