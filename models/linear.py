"""A linear item-to-item model: what a history says about an item, learned as a ridge regression.

EASE (Steck 2019) regresses every item on all others, which takes a dense inverse of items x items
numbers. Here each item is regressed on its `near` most similar items only, so that memory is
items x near and the time is one small system an item (SLIM with selected features; Ning, Karypis
2011). Both stay bounded for a million items, and items can be fitted apart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.interactions import Floats, Ints
from models.neighbours import Neighbours, keep_best

#: Targets whose similarities are held at once.
BLOCK = 500


def fit(histories: sparse.csr_matrix, near: int, ridge: float, k: int) -> Neighbours:
    """The `k` items that each item speaks for most, with their learned weights."""
    return Neighbours(*keep_best(learn(histories, near, ridge), k))


def learn(histories: sparse.csr_matrix, near: int, ridge: float) -> sparse.csr_matrix:
    """Weights (items, items): row = the item known, column = the item it speaks for.

    `histories` (people, items) hold positive strengths. People count by the inverse of their
    history's length, so that a collector does not outweigh everybody else. `ridge` is in units
    of an item's mean weight. A history times the weights are its scores.
    """
    people = _by_length(histories)
    columns = people.tocsc()
    weight = np.asarray(columns.multiply(columns).sum(axis=0), np.float32).ravel()
    added = ridge * float(weight.mean())
    parts = []
    for first in range(0, columns.shape[1], BLOCK):
        together = (columns[:, first : first + BLOCK].T @ people).tocsr()
        items, _ = keep_best(_cosine(together, weight, first), near)
        rows = [
            _regress(columns, together[target], chosen[chosen >= 0], added)
            for target, chosen in enumerate(items)
        ]
        parts.append(_stack(items, rows, columns.shape[1]))
    learned: sparse.csr_matrix = sparse.vstack(parts).T.tocsr()
    return learned


def _by_length(histories: sparse.csr_matrix) -> sparse.csr_matrix:
    lengths = np.maximum(np.diff(histories.indptr), 1)
    return sparse.csr_matrix(sparse.diags(lengths**-0.5) @ histories, dtype=np.float32)


def _cosine(together: sparse.csr_matrix, weight: Floats, first: int) -> sparse.csr_matrix:
    """Similarity of a block of items, from row `first` on, to all; none to itself."""
    rows = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr)) + first
    near = together.copy()
    near.data = near.data / np.sqrt(weight[rows] * weight[near.indices])
    near.data[rows == near.indices] = 0
    return near


def _regress(
    columns: sparse.csc_matrix, together: sparse.csr_matrix, chosen: Ints, added: float
) -> Floats:
    """One item's weights for the `chosen` items, (chosen,)."""
    if not len(chosen):
        return np.zeros(0, np.float32)
    local = columns[:, chosen]
    left = (local.T @ local).toarray()
    left[np.diag_indices_from(left)] += added
    right = np.asarray(together[:, chosen].toarray()).ravel()
    solved: Floats = np.linalg.solve(left, right).astype(np.float32)
    return solved


def _stack(items: Ints, rows: list[Floats], count: int) -> sparse.csr_matrix:
    """Sparse rows (targets, items) from the chosen items and their weights."""
    indptr: npt.NDArray[np.int64] = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return sparse.csr_matrix(
        (np.concatenate(rows), items[items >= 0], indptr), shape=(len(rows), count)
    )
