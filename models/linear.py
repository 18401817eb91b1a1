"""A linear item-to-item model, as it answers: what a whole history says about an item.

`models.slim` learns it; only that needs SciPy, so a server starts without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feature_store.lookup import Places
from models.interactions import Floats, Ints
from models.topk import top


@dataclass(frozen=True)
class Linear:
    """What each of some items speaks for, and how much.

    `items` (n,) are their positions in the catalogue, ascending. Row r of `near` (n, k) are numbers
    of rows that item r speaks for, of `weights` (n, k) how much: 0 where there are fewer than k.
    """

    items: Ints
    near: Ints
    weights: Floats

    def candidates(self, items: Ints, strengths: Floats, cap: int) -> tuple[Ints, Floats]:
        """The `cap` items that a whole history speaks for most, itself included; log-damped."""
        known = Places.of(items, self.items)
        liked = known.there & (strengths > 0)
        rows, damped = known.rows[liked], np.log1p(strengths[liked])
        said = (self.weights[rows] * damped[:, None]).ravel()
        totals = np.bincount(self.near[rows].ravel(), said, len(self.items)).astype(np.float32)
        best, scores = top(totals, cap)
        return self.items[best], scores
