"""The shelf: what sells best in the categories a person buys from, for what is new to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.interactions import Floats, Ints, Longs
from models.topk import top_of

#: The best sellers kept of each category.
DEPTH: Final = 20
#: How many of a person's strongest categories are looked into.
CATEGORIES: Final = 25


@dataclass(frozen=True)
class Shelf:
    """Category c holds the part `indptr[c]:indptr[c + 1]` of `items`, best seller first; `shares`
    are of the category's popularity. `category` is by item, (items,), -1 for unknown.
    """

    category: Ints
    indptr: Longs
    items: Ints
    shares: Floats

    def candidates(self, items: Ints, strengths: Floats, cap: int) -> tuple[Ints, Floats]:
        """The `cap` best for a history: the category's share of it times the item's of that."""
        known = (self.category[items] >= 0) & (strengths > 0)
        if not known.any():
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        codes, group = np.unique(self.category[items[known]], return_inverse=True)
        weights = np.bincount(group, strengths[known]).astype(np.float32)
        codes, weights = top_of(codes, weights / weights.sum(dtype=np.float64), CATEGORIES)
        first = self.indptr[codes]
        counts = self.indptr[codes + 1] - first
        ends = np.cumsum(counts)
        rows = np.arange(ends[-1]) + np.repeat(first - ends + counts, counts)
        found, scores = self.items[rows], np.repeat(weights, counts) * self.shares[rows]
        return top_of(found, scores, cap)


def fit(popularity: Floats, category: Ints) -> Shelf:
    """From decayed popularity and category codes, both (items,)."""
    sold = np.flatnonzero((category >= 0) & (popularity > 0))
    order = sold[np.lexsort((sold, -popularity[sold], category[sold]))]
    codes = category[order]
    kinds = int(category.max(initial=-1)) + 1
    counts = np.bincount(codes, minlength=kinds)
    starts = np.concatenate([[0], np.cumsum(counts)])
    kept = np.arange(len(order)) - starts[codes] < DEPTH
    totals = np.bincount(codes, popularity[order], kinds)
    return Shelf(
        category=category,
        indptr=np.concatenate([[0], np.cumsum(np.minimum(counts, DEPTH))]).astype(np.int64),
        items=order[kept].astype(np.int32),
        shares=(popularity[order] / totals[codes])[kept].astype(np.float32),
    )
