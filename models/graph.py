"""A low-pass filter on the graph of people and items: the smooth part of a history, no training.

The ideal low-pass part of GF-CF (Shen et al. 2021): a history is projected on the leading
singular vectors of the normalised log. Shaped like ALS factors: one vector an item, a person's
vector is a weighted sum of them, a score is a dot product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.interactions import Floats, Ints
from models.topk import top

SEED = 7
#: Directions beyond the rank, and rounds, of the randomised decomposition.
SPARE, ROUNDS = 64, 3


@dataclass(frozen=True)
class LowPass:
    """`basis` (items, rank) float32: 256 MB for a million items at rank 64; `popularity` (items,)
    is the square root of how many people have an item, at least 1."""

    basis: Floats
    popularity: Floats

    @classmethod
    def fit(cls, histories: sparse.csr_matrix, rank: int) -> LowPass:
        """The `rank` smoothest directions of `histories` (people, items).

        Randomised subspace iteration (Halko, Martinsson, Tropp 2011) with a fixed seed: sparse
        products and QRs of items x rank, never items x items.
        """
        people = np.maximum(np.diff(histories.indptr), 1)
        items = np.maximum(np.bincount(histories.indices, minlength=histories.shape[1]), 1)
        scaled = sparse.diags(people**-0.5) @ histories @ sparse.diags(items**-0.5)
        matrix = sparse.csr_matrix(scaled, dtype=np.float32)
        basis = _leading(matrix, min(rank, *matrix.shape))
        return cls(basis, np.sqrt(items).astype(np.float32))

    def scores(self, rows: sparse.csr_matrix) -> Floats:
        """Scores (rows, items) of some histories (rows, items)."""
        smooth = (rows @ sparse.diags(1 / self.popularity)) @ self.basis
        scores: Floats = (smooth @ self.basis.T * self.popularity).astype(np.float32)
        return scores

    def candidates(self, items: Ints, strengths: Floats, cap: int) -> tuple[Ints, Floats]:
        """The `cap` best items for one history, those of the history itself included."""
        smooth = (strengths / self.popularity[items]) @ self.basis[items]
        return top(self.basis @ smooth * self.popularity, cap)


def _leading(matrix: sparse.csr_matrix, rank: int) -> Floats:
    """The right singular vectors of the largest singular values, (columns, rank)."""
    turned = matrix.T.tocsr()
    width = min(rank + SPARE, *matrix.shape)
    drawn = np.random.default_rng(SEED).standard_normal((matrix.shape[1], width))
    span = drawn.astype(np.float32)
    for _ in range(ROUNDS):
        span, _ = np.linalg.qr(turned @ (matrix @ span))
    image = matrix @ span
    _, turn = np.linalg.eigh(image.T @ image)
    leading: Floats = np.ascontiguousarray(span @ turn[:, ::-1][:, :rank])
    return leading
