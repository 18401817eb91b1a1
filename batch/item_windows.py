"""Item windows as they were at any moment: the columns that training must never read too late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from batch.history import History
from feature_store.aggregates import Count, Distinct, Sum
from feature_store.declaration import Declaration, Entity
from feature_store.events import actor_hash
from feature_store.tiles import Window
from feature_store.vectors import window_columns
from models.interactions import Floats, Longs

_Doubles = npt.NDArray[np.float64]


class ItemWindows:
    """Every item's window values, kept exact as time moves on: events enter and tiles leave.

    An aggregate that nobody taught to shrink raises `TypeError`.
    """

    def __init__(self, declaration: Declaration, history: History) -> None:
        self._columns = list(_columns(declaration, history))
        self._values = np.zeros((len(history.items.ids), len(self._columns)), np.float32)

    def advance(self, now: int) -> Floats:
        """The values as of `now`, exclusive: (items, columns), as `vectors.window_columns`.

        It is one array, which the next call brings up to date: what has not changed is not
        written again, because thousands of moments are asked for.
        """
        for column, values in zip(self._columns, self._values.T, strict=True):
            column.move(values, now)
        return self._values


class _Column(Protocol):
    """One feature in one window, for all items."""

    def move(self, row: Floats, now: int) -> None:
        """Brings the items' values to `now`; moments only grow."""


@dataclass
class _Passing:
    """Events in order of time, and how many of them have entered a window and left it."""

    window: Window
    times: Longs
    entered: int = 0
    left: int = 0

    def move(self, now: int) -> tuple[slice, slice]:
        """Which events enter and which leave on the way to `now`: tiles leave whole."""
        entered = int(np.searchsorted(self.times, now))
        oldest = self.window.oldest(now)
        left = 0 if self.window.from_base else int(np.searchsorted(self.times, oldest))
        fresh, gone = slice(self.entered, entered), slice(self.left, left)
        self.entered, self.left = entered, left
        return fresh, gone


@dataclass
class _Sums:
    """Sums by item; in a window that fades they are kept as of the tile that starts at `origin`.

    What fades is no whole number: `inside` counts the events in the window, so that a sum of none
    is 0 and not what rounding left of it.
    """

    passing: _Passing
    window: Window
    origin: int
    items: Longs
    values: _Doubles
    totals: _Doubles
    inside: Longs = field(init=False)

    def __post_init__(self) -> None:
        self.inside = np.zeros(len(self.totals), np.int64)

    def move(self, row: Floats, now: int) -> None:
        fresh, gone = self.passing.move(now)
        faded = self.window.left(self.origin, now)
        if fresh.start == fresh.stop and gone.start == gone.stop and faded == 1.0:
            self.origin = self.window.level.start(now)
            return
        self.totals *= faded
        self.origin = self.window.level.start(now)
        np.add.at(self.totals, self.items[fresh], self._left(fresh))
        np.subtract.at(self.totals, self.items[gone], self._left(gone))
        if self.window.half_life_ms:
            self._empty(fresh, gone)
        if faded != 1.0:
            row[:] = self.totals
            return
        changed = np.concatenate([self.items[fresh], self.items[gone]])
        row[changed] = self.totals[changed]

    def _empty(self, fresh: slice, gone: slice) -> None:
        np.add.at(self.inside, self.items[fresh], 1)
        np.subtract.at(self.inside, self.items[gone], 1)
        left = self.items[gone]
        self.totals[left[self.inside[left] == 0]] = 0.0

    def _left(self, part: slice) -> _Doubles:
        """What is left of some values at `origin`."""
        if not self.window.half_life_ms:
            return self.values[part]
        times = self.passing.times[part]
        age = (self.origin - (times - times % self.window.level.ms)) / self.window.half_life_ms
        left: _Doubles = self.values[part] * np.exp2(-age)
        return left


@dataclass(frozen=True)
class _Pairs:
    """Different pairs of item and actor, in order of (item, hash); `of` is each event's pair.

    Those of one item begin at `first[item]`.
    """

    of: Longs
    item: Longs
    hash: Longs
    first: Longs

    @classmethod
    def among(cls, history: History, rows: Longs) -> _Pairs:
        """Of some of the events."""
        hashes = np.asarray([actor_hash(actor) for actor in history.log.actor_ids], np.int64)
        item, hashed = history.known.item[rows], hashes[history.known.actor[rows]]
        order = np.lexsort((hashed, item))
        new = np.ones(len(rows), bool)
        new[1:] = (np.diff(item[order]) != 0) | (np.diff(hashed[order]) != 0)
        pair = np.empty(len(rows), np.int64)
        pair[order] = np.cumsum(new) - 1
        item_of, hash_of = item[order][new], hashed[order][new]
        first = np.searchsorted(item_of, np.arange(len(history.items.ids) + 1)).astype(np.int64)
        return cls(pair, item_of, hash_of, first)


@dataclass
class _Sketches:
    """Different actors by item: how often each pair of item and actor is in the window.

    `present` counts the pairs of each item that are in it at all: below its size a sketch is exact.
    """

    passing: _Passing
    aggregate: Distinct
    pairs: _Pairs
    count: Longs = field(init=False)
    present: Longs = field(init=False)

    def __post_init__(self) -> None:
        self.count = np.zeros(len(self.pairs.item), np.int64)
        self.present = np.zeros(len(self.pairs.first) - 1, np.int64)

    def move(self, row: Floats, now: int) -> None:
        fresh, gone = (self.pairs.of[part] for part in self.passing.move(now))
        touched = np.unique(np.concatenate([fresh, gone]))
        if not len(touched):
            return
        before = self.count[touched] > 0
        np.add.at(self.count, fresh, 1)
        np.subtract.at(self.count, gone, 1)
        change = (self.count[touched] > 0).astype(np.int64) - before
        np.add.at(self.present, self.pairs.item[touched], change)
        items = np.unique(self.pairs.item[touched[change != 0]])
        row[items] = self.present[items]
        for item in items[self.present[items] >= self.aggregate.size]:
            part = slice(self.pairs.first[item], self.pairs.first[item + 1])
            present = self.pairs.hash[part][self.count[part] > 0]
            row[item] = self.aggregate.value(present[: self.aggregate.size].tolist())


def _columns(declaration: Declaration, history: History) -> Iterator[_Column]:
    """In the order of the vectors' columns, made one by one; windows of a feature share events."""
    known, count = history.known, len(history.items.ids)
    for feature in declaration.of(Entity.ITEM):
        rows = np.flatnonzero(np.isin(known.kind, feature.events))
        times, items = known.time[rows], known.item[rows]
        match feature.aggregate:
            case Count():
                ones = np.broadcast_to(1.0, len(rows))
                yield from (_sums(w, times, items, ones, count) for w in feature.windows)
            case Sum(measure):
                values = known.measures[measure][rows].astype(np.float64)
                yield from (_sums(w, times, items, values, count) for w in feature.windows)
            case Distinct() as distinct:
                pairs = _Pairs.among(history, rows)
                yield from (_Sketches(_Passing(w, times), distinct, pairs) for w in feature.windows)
            case other:
                raise TypeError(f"{feature.name}: teach batch/item_windows.py how {other} shrinks.")


def _sums(window: Window, times: Longs, items: Longs, values: _Doubles, count: int) -> _Sums:
    origin = window.level.start(int(times[0])) if len(times) else 0
    return _Sums(_Passing(window, times), window, origin, items, values, np.zeros(count))


def windows_at(declaration: Declaration, history: History, now: int) -> Floats:
    """Every item's windows at one moment, without a walk and one column at a time."""
    columns = window_columns(declaration, Entity.ITEM)
    values = np.zeros((len(history.items.ids), len(columns)), np.float32)
    for column, row in zip(_columns(declaration, history), values.T, strict=True):
        column.move(row, now)
    return values
