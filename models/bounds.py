"""Indices of a bundle point into it: kernels look nothing up twice, and never whether they may.

Hashes say that a bundle is as it was written, not that who wrote it meant well.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.interactions import Longs
from models.sources import Sources

Array = npt.NDArray[Any]


def check(sources: Sources) -> None:
    """Raises `ValueError` for sources whose arrays do not fit each other."""
    for name, array, least, end in _indices(sources):
        if array.size and (array.min() < least or array.max() >= end):
            raise ValueError(f"{name} points outside of the bundle")
        _let_go(array)
    for name, starts, within in (
        ("own_indptr", sources.own.indptr, len(sources.own.items)),
        ("shelf_indptr", sources.shelf.indptr, len(sources.shelf.items)),
    ):
        if not _divides(starts, within):
            raise ValueError(f"{name} does not divide its array")
    for name, arrays in _alike(sources):
        if len({array.shape for array in arrays}) > 1:
            raise ValueError(f"the arrays of {name} differ in their shapes")
    if len(sources.linear.items) != len(sources.linear.near):
        raise ValueError("the arrays of linear differ in their lengths")
    rank, fours = sources.als.factors.shape[1], sources.als.by_norm.codes.shape[1]
    if sources.als.gram.shape != (rank, rank) or fours != -(-rank // 4):
        raise ValueError("ALS factors, gram and codes differ in their ranks")


def _indices(sources: Sources) -> Iterator[tuple[str, Array, int, int]]:
    """Arrays of indices: the name, the array, the least index and the first beyond."""
    items, linear = len(sources.item_ids), len(sources.linear.items)
    yield "als_order", sources.als.by_norm.order, 0, items
    yield "own_items", sources.own.items, 0, items
    yield "covisitation_items", sources.covisitation.items, -1, items
    yield "content_items", sources.content.items, -1, items
    yield "linear_items", sources.linear.items, 0, items
    yield "linear_near", sources.linear.near, 0, linear
    yield "shelf_items", sources.shelf.items, 0, items
    yield "category", sources.shelf.category, -1, len(sources.shelf.indptr) - 1


def _alike(sources: Sources) -> Iterator[tuple[str, Sequence[Array]]]:
    """Arrays that are read side by side."""
    own, linear, shelf = sources.own, sources.linear, sources.shelf
    parts = own.items, own.strengths, own.bought, own.first, own.last, own.turn
    yield "own", parts
    yield "covisitation", (sources.covisitation.items, sources.covisitation.weights)
    yield "content", (sources.content.items, sources.content.weights)
    yield "linear", (linear.near, linear.weights)
    yield "shelf", (shelf.items, shelf.shares)


def _divides(starts: Longs, within: int) -> bool:
    return (
        len(starts) > 0
        and starts[0] >= 0
        and starts[-1] <= within
        and bool((np.diff(starts) >= 0).all())
    )


def _let_go(array: Array) -> None:
    """Mapped pages that were only looked at are nobody's memory any more."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)
