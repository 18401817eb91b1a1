"""The sources' loops, compiled: what `models.retrieval` says, in a tenth of its time."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from feature_store.kernels import address, kernel, location
from models.interactions import Floats, Ints
from models.own import Owned

if TYPE_CHECKING:
    from models.sources import Sources

KERNEL: Final = Path(__file__).with_name("retrieval.c")


class _Neighbours(ctypes.Structure):
    _fields_ = (
        ("items", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("width", ctypes.c_int64),
    )


class _Sources(ctypes.Structure):
    _fields_ = (
        ("covisitation", _Neighbours),
        ("content", _Neighbours),
        ("linear_items", ctypes.c_void_p),
        ("linear_near", ctypes.c_void_p),
        ("linear_weights", ctypes.c_void_p),
        ("linear_rows", ctypes.c_int64),
        ("linear_width", ctypes.c_int64),
        ("category", ctypes.c_void_p),
        ("shelf_items", ctypes.c_void_p),
        ("shelf_first", ctypes.c_void_p),
        ("shelf_shares", ctypes.c_void_p),
        ("categories", ctypes.c_int64),
    )


class _Person(ctypes.Structure):
    _fields_ = (
        ("items", ctypes.c_void_p),
        ("strengths", ctypes.c_void_p),
        ("damped", ctypes.c_void_p),
        ("count", ctypes.c_int64),
    )


class Retriever:
    """The arrays of one bundle, bound to the kernel."""

    def __init__(self, sources: Sources, library: ctypes.CDLL) -> None:
        self._retrieve = library.retrieve
        self._retrieve.restype = ctypes.c_ssize_t
        self._held: list[npt.NDArray[Any]] = []
        linear, shelf = sources.linear, sources.shelf
        self._sources = _Sources(
            covisitation=self._neighbours(sources.covisitation.items, sources.covisitation.weights),
            content=self._neighbours(sources.content.items, sources.content.weights),
            linear_items=self._at(linear.items, np.int32),
            linear_near=self._at(linear.near, np.int32),
            linear_weights=self._at(linear.weights, np.float32),
            linear_rows=len(linear.items),
            linear_width=linear.near.shape[1],
            category=self._at(shelf.category, np.int32),
            shelf_items=self._at(shelf.items, np.int32),
            shelf_first=self._at(shelf.indptr, np.int64),
            shelf_shares=self._at(shelf.shares, np.float32),
            categories=len(shelf.indptr) - 1,
        )

    @classmethod
    def of(cls, sources: Sources) -> Retriever | None:
        """None without a compiler."""
        library = kernel(KERNEL)
        return None if library is None else cls(sources, library)

    def union(
        self,
        owned: Owned,
        offers: Mapping[str, tuple[Ints, Floats]],
        caps: Mapping[str, int],
        far: Mapping[str, int],
        seeds: int,
        kinds: int,
    ) -> tuple[Ints, Floats]:
        """Every item offered, ascending, and what each source scored it: NaN where it did not.

        `offers` are those of sources that are not asked here; `caps` and `far` name all, in order.
        """
        first = np.cumsum([0, *far.values()], dtype=np.int64)
        most, counts = int(first[-1]), np.zeros(len(far), np.int64)
        offered, worth = np.empty(most, np.int32), np.empty(most, np.float32)
        for place, name in enumerate(far):
            if name in offers:
                items, scores = offers[name]
                counts[place] = count = len(items)
                offered[first[place] :][:count] = items
                worth[first[place] :][:count] = scores
        limits = np.fromiter(caps.values(), np.int64)
        heap = np.empty(kinds + max(seeds, *far.values()), np.uint64)
        positions, scores = np.empty(most, np.int32), np.empty((most, len(far)), np.float32)
        items = np.ascontiguousarray(owned.items, np.int32)
        strengths = np.ascontiguousarray(owned.strengths, np.float32)
        damped = np.log1p(np.maximum(strengths, 0))
        person = _Person(
            location(items, np.int32),
            location(strengths, np.float32),
            location(damped, np.float32),
            len(items),
        )
        found = self._retrieve(
            ctypes.byref(self._sources),
            ctypes.byref(person),
            address(offered, np.int32),
            address(worth, np.float32),
            *(address(array, np.int64) for array in (first, counts, limits)),
            ctypes.c_int64(seeds),
            ctypes.c_int64(kinds),
            address(heap, np.uint64),
            address(positions, np.int32),
            address(scores, np.float32),
        )
        return positions[:found], scores[:found]

    def _neighbours(self, items: Ints, weights: Floats) -> _Neighbours:
        width = items.shape[1]
        return _Neighbours(self._at(items, np.int32), self._at(weights, np.float32), width)

    def _at(self, array: npt.NDArray[Any], kind: type[np.generic]) -> int:
        """Where the values of an array lie, which is held from now on."""
        held = np.ascontiguousarray(array, kind)
        self._held.append(held)
        return location(held, kind)
