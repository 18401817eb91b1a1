"""The linear item-to-item model of `models.linear`, learned as ridge regressions.

EASE (Steck 2019) regresses every item on all others, which takes a dense inverse of items x items
numbers. Here each item is regressed on its `near` most similar items only (SLIM with selected
features; Ning, Karypis 2011), and only the items that most people have take part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import sparse

from models.interactions import Floats, Ints
from models.linear import Linear
from models.neighbours import keep_best
from models.own import OwnHistory
from models.topk import top

#: Targets whose similarities are held at once.
BLOCK: Final = 500
#: So many items' products are held as a whole, 4 bytes a pair: 256 MiB.
HELD: Final = 8_000


@dataclass(frozen=True, slots=True)
class LinearRule:
    """The `most` items that most people have are each regressed on the `near` most similar ones.

    `ridge` is in units of an item's mean weight; `k` weights of each item are kept.
    """

    most: int
    near: int
    ridge: float
    k: int


def liked(history: OwnHistory, items: int) -> sparse.csr_matrix:
    """Everybody's positive strengths as of the cut, (actors, `items`)."""
    worth = np.maximum(history.strengths, 0)
    shape = (len(history.indptr) - 1, items)
    # A copy: leaving out zeros works in place, on the history itself otherwise.
    found = sparse.csr_matrix((worth, history.items, history.indptr), shape, np.float32, copy=True)
    found.eliminate_zeros()
    return found


def fit(people: sparse.csr_matrix, rule: LinearRule) -> Linear:
    """From positive strengths (people, items), log-damped here as they are when asked."""
    have = np.bincount(people.indices, minlength=people.shape[1])
    order = np.argsort(-have, kind="stable")[: rule.most]
    kept = np.sort(order[have[order] > 1]).astype(np.int32)
    weights = learn(people[:, kept].log1p().tocsr(), rule.near, rule.ridge)
    best, strengths = keep_best(weights, rule.k)
    return Linear(kept, np.maximum(best, 0), strengths)


def learn(histories: sparse.csr_matrix, near: int, ridge: float) -> sparse.csr_matrix:
    """Weights (items, items): row = the item known, column = the item it speaks for.

    `histories` (people, items) hold positive strengths. People count by the inverse of their
    history's length, so that a collector does not outweigh everybody else. `ridge` is in units
    of an item's mean weight. A history times the weights are its scores.
    """
    return learn_each(histories, near, (ridge,))[0]


def learn_each(
    histories: sparse.csr_matrix, near: int, ridges: Sequence[float]
) -> list[sparse.csr_matrix]:
    """`learn` for each of some ridges; what does not depend on them is computed once."""
    products = _Products.of(_by_length(histories))
    items = len(products.weight)
    mean = float(products.weight.mean()) if items else 0.0
    rows: list[list[tuple[Ints, Floats]]] = [[] for _ in ridges]
    for first in range(0, items, BLOCK):
        for target, together in enumerate(products.block(first), first):
            chosen = _nearest(together, products.weight, target, near)
            among, spoken = products.among(chosen), together[chosen]
            for ridge, mine in zip(ridges, rows, strict=True):
                left = among.copy()
                left[np.diag_indices_from(left)] += ridge * mean
                mine.append((chosen, np.linalg.solve(left, spoken).astype(np.float32)))
    return [_stacked(mine, items).T.tocsr() for mine in rows]


@dataclass(frozen=True)
class _Products:
    """Inner products of the items' columns: by blocks, among a few, and each with itself."""

    columns: sparse.csc_matrix
    weight: Floats
    #: All of them, where they are few enough to hold.
    whole: Floats | None

    @classmethod
    def of(cls, people: sparse.csr_matrix) -> _Products:
        weight = np.asarray(people.multiply(people).sum(axis=0), np.float32).ravel()
        found = cls(people.tocsc(), weight, None)
        if len(weight) > HELD:
            return found
        whole = np.empty((len(weight), len(weight)), np.float32)
        for first in range(0, len(weight), BLOCK):  # as one sparse product it would be held thrice
            whole[first : first + BLOCK] = found.block(first)
        return replace(found, whole=whole)

    def block(self, first: int) -> Floats:
        """Of `BLOCK` items from `first` on with all, (block, items)."""
        part = slice(first, first + BLOCK)
        if self.whole is not None:
            return self.whole[part]
        found: Floats = (self.columns[:, part].T @ self.columns).toarray()
        return found

    def among(self, chosen: Ints) -> Floats:
        """Of the chosen items with each other."""
        found: Floats
        if self.whole is not None:
            found = self.whole[np.ix_(chosen, chosen)]
        else:
            local = self.columns[:, chosen]
            found = (local.T @ local).toarray()
        return found


def _by_length(histories: sparse.csr_matrix) -> sparse.csr_matrix:
    lengths = np.maximum(np.diff(histories.indptr), 1)
    return sparse.csr_matrix(sparse.diags(lengths**-0.5) @ histories, dtype=np.float32)


def _nearest(together: Floats, weight: Floats, target: int, near: int) -> Ints:
    """The items most similar to the target by cosine, without itself."""
    cosine = together / np.sqrt(np.maximum(weight, 1e-12))
    cosine[target] = 0
    return top(cosine, near)[0]


def _stacked(rows: list[tuple[Ints, Floats]], items: int) -> sparse.csr_matrix:
    """Sparse rows (targets, items) from the chosen items and their weights."""
    indptr = np.cumsum([0, *(len(chosen) for chosen, _ in rows)])
    nothing = (np.zeros(0, np.int32), np.zeros(0, np.float32))
    chosen, weights = (np.concatenate(part) for part in zip(nothing, *rows, strict=True))
    return sparse.csr_matrix((weights, chosen, indptr), shape=(len(rows), items))
