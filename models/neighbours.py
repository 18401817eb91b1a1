"""Item-to-item lists: the neighbours of every item, and candidates from a person's history."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from models.interactions import Floats, Ints
from models.topk import top, top_of

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True)
class Neighbours:
    """`items` (items, k) int32 with -1 for none; `weights` (items, k) float32, best first."""

    items: Ints
    weights: Floats

    def candidates(
        self, items: Ints, strengths: Floats, seeds: int, cap: int
    ) -> tuple[Ints, Floats]:
        """The `cap` items closest to the `seeds` strongest items of a history.

        A score is the sum over seeds of strength times weight.
        """
        items, strengths = top_of(items, strengths, seeds)
        near = np.asarray(self.items[items]).ravel()
        offered = np.asarray(self.weights[items] * strengths[:, None]).ravel()
        kept = near >= 0
        unique, inverse = np.unique(near[kept], return_inverse=True)
        totals = np.bincount(inverse, offered[kept], len(unique)).astype(np.float32)
        return top_of(unique.astype(np.int32), totals, cap)

    def of(self, item: int) -> tuple[Ints, Floats]:
        """One item's neighbours, best first."""
        kept = self.items[item] >= 0
        return self.items[item][kept], self.weights[item][kept]


def keep_best(similarity: sparse.csr_matrix, k: int) -> tuple[Ints, Floats]:
    """The `k` largest positive entries of every row, best first; ties by position."""
    similarity = similarity.sorted_indices()
    items = np.full((similarity.shape[0], k), -1, np.int32)
    weights = np.zeros((similarity.shape[0], k), np.float32)
    for row, (start, end) in enumerate(pairwise(similarity.indptr.tolist())):
        best, values = top(similarity.data[start:end], k)
        items[row, : len(best)] = similarity.indices[start:end][best]
        weights[row, : len(best)] = values
    return items, weights
