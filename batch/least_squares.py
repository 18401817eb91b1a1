"""Half a step of implicit ALS: many people's vectors at once, with the items' held fixed.

For every row the equations of `models/als.py` are solved: by a few steps of conjugate gradients
from the last iteration's vector (Takács, Pilászy, Tikk 2011), over rows of like length stacked
into one array, so that the work is done by BLAS. A row too long to stack is solved exactly, a
slice at a time. Memory is CELLS * rank floats beside the factors, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.als import Rule
from models.interactions import Floats, Ints, Longs

#: Stacked entries at a time: 4 MB of factors at rank 64, so that every step finds them in cache.
CELLS = 16_384
#: Steps of conjugate gradients a half-step; more cost time and hardly change the loss.
STEPS = 3
#: A squared residual, relative to 1, below which a row is solved.
SOLVED = 1e-12


@dataclass(frozen=True)
class Histories:
    """Sparse rows: row r has `columns[indptr[r]:indptr[r + 1]]` (int32) with `ratings` alike."""

    indptr: Longs
    columns: Ints
    ratings: Floats

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def lengths(self) -> Longs:
        """Entries of every row, (rows,)."""
        return np.diff(self.indptr)


def solve(histories: Histories, start: Floats, fixed: Floats, rule: Rule) -> Floats:
    """The rows' vectors (rows, rank), improved from `start`; zeros for a row that likes nothing.

    `fixed` (columns, rank) are the other side's factors.
    """
    gram = fixed.T @ fixed
    solved = np.zeros_like(start)
    for rows in _stacks(histories.lengths):
        if histories.lengths[rows[0]] > CELLS:
            solved[rows[0]] = _exactly(histories, int(rows[0]), fixed, gram, rule)
        else:
            stack = _Stack.of(histories, rows, fixed, rule)
            solved[rows] = stack.descend(start[rows], gram)
    return solved


def _stacks(lengths: Longs) -> Iterator[Longs]:
    """Rows with entries, by falling length, in groups that fill about CELLS."""
    order = np.argsort(-lengths, kind="stable")
    order = order[: np.count_nonzero(lengths)]
    at = 0
    while at < len(order):
        count = max(1, CELLS // int(lengths[order[at]]))
        yield order[at : at + count]
        at += count


@dataclass(frozen=True)
class _Stack:
    """Rows padded to one width: `near` (rows, width, rank), `extra` and `right` from ratings."""

    near: Floats
    extra: Floats
    right: Floats
    ridge: Floats

    @classmethod
    def of(cls, histories: Histories, rows: Longs, fixed: Floats, rule: Rule) -> _Stack:
        lengths = histories.lengths[rows]
        places = np.arange(int(lengths.max()))
        there = places < lengths[:, None]
        cells = np.where(there, histories.indptr[rows][:, None] + places, 0)
        ratings = np.where(there, histories.ratings[cells], 0).astype(np.float32)
        near = fixed[histories.columns[cells]]
        liked = ratings > 0
        extra = (rule.alpha * np.abs(ratings)).astype(np.float32)
        right = np.matmul(np.where(liked, 1 + extra, 0)[:, None, :], near)[:, 0, :]
        return cls(near, extra, right, rule.ridge(np.count_nonzero(liked, axis=1))[:, None])

    def times(self, vectors: Floats, gram: Floats) -> Floats:
        """The left side of the equations applied to (rows, rank)."""
        along = np.matmul(self.near, vectors[:, :, None])[:, :, 0] * self.extra
        back: Floats = np.matmul(along[:, None, :], self.near)[:, 0, :]
        back += vectors @ gram
        back += self.ridge * vectors
        return back

    def descend(self, vectors: Floats, gram: Floats) -> Floats:
        """A few steps of conjugate gradients from `vectors`; rows that like nothing become 0."""
        vectors = np.where(self.right.any(axis=1)[:, None], vectors, 0).astype(np.float32)
        rest = self.right - self.times(vectors, gram)
        towards, size = rest, _squares(rest)
        for _ in range(STEPS):
            going = size > SOLVED
            image = self.times(towards, gram)
            reach = np.einsum("ij,ij->i", towards, image)[:, None]
            step = np.divide(size, reach, out=np.zeros_like(size), where=going)
            vectors = vectors + step * towards
            rest = rest - step * image
            last, size = size, _squares(rest)
            turn = np.divide(size, last, out=np.zeros_like(size), where=going)
            towards = rest + turn * towards
        return vectors


def _squares(vectors: Floats) -> Floats:
    total: Floats = np.einsum("ij,ij->i", vectors, vectors)[:, None]
    return total


def _exactly(
    histories: Histories, row: int, fixed: Floats, gram: Floats, rule: Rule
) -> npt.NDArray[np.float64]:
    """One long row, its equations summed a slice of CELLS at a time."""
    begin, end = int(histories.indptr[row]), int(histories.indptr[row + 1])
    left, right, likes = gram.astype(np.float64), np.zeros(fixed.shape[1]), 0
    for at in range(begin, end, CELLS):
        part = slice(at, min(at + CELLS, end))
        near, ratings = fixed[histories.columns[part]], histories.ratings[part]
        extra = rule.alpha * np.abs(ratings)
        left += near.T @ (near * extra[:, None])
        right += near.T @ np.where(ratings > 0, 1 + extra, 0)
        likes += int(np.count_nonzero(ratings > 0))
    if not likes:
        return right
    left[np.diag_indices_from(left)] += rule.ridge(np.asarray([likes]))[0]
    solved: npt.NDArray[np.float64] = np.linalg.solve(left, right)
    return solved
