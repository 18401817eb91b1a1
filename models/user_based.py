"""User-based neighbours: what the people with the most similar histories have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.interactions import Floats, Ints
from models.neighbours import keep_best
from models.topk import top

#: How much a shared item counts for less the more people have it: popularity to this power.
DAMPING = 0.5


@dataclass(frozen=True)
class UserBased:
    """Everybody's histories: memory is that of the log, held twice, sparse.

    `histories` are (people, items); `by_item` (items, people) are the same with people of unit
    length after damping. The `near` most similar people vote, with their similarity to the power
    of `sharpness`. A request costs as many steps as its items have people.
    """

    histories: sparse.csr_matrix
    by_item: sparse.csr_matrix
    damping: Floats
    near: int
    sharpness: float

    @classmethod
    def fit(cls, histories: sparse.csr_matrix, near: int, sharpness: float) -> UserBased:
        """`histories` (people, items) hold positive strengths."""
        many = np.maximum(np.bincount(histories.indices, minlength=histories.shape[1]), 1)
        damping = (many ** (-DAMPING / 2)).astype(np.float32)
        by_item = _unit(histories @ sparse.diags(damping)).T.tocsr()
        return cls(histories, by_item, damping, near, sharpness)

    def scores(self, rows: sparse.csr_matrix) -> Floats:
        """Scores (rows, items) of some histories (rows, items)."""
        alike = (_unit(rows @ sparse.diags(self.damping)) @ self.by_item).tocsr()
        nearest, how = keep_best(alike, self.near)
        votes = sparse.csr_matrix(
            (how[nearest >= 0] ** self.sharpness, nearest[nearest >= 0],
             np.concatenate([[0], np.cumsum((nearest >= 0).sum(axis=1))])),
            shape=alike.shape,
        )  # fmt: skip
        scores: Floats = (votes @ self.histories).toarray().astype(np.float32)
        return scores

    def candidates(self, items: Ints, strengths: Floats, cap: int) -> tuple[Ints, Floats]:
        """The `cap` best items for one history, those of the history itself included."""
        liked = strengths > 0
        row = sparse.csr_matrix(
            (strengths[liked], items[liked], [0, np.count_nonzero(liked)]),
            shape=(1, self.histories.shape[1]),
        )
        return top(self.scores(row)[0], cap)


def _unit(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows of length 1; an empty row stays empty."""
    rows = sparse.csr_matrix(rows, dtype=np.float32)
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(length, 1e-12)) @ rows, dtype=np.float32)
