"""Item windows as they were at any moment: the columns that training must never read too late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from batch.history import History, Known
from feature_store.aggregates import Count, Sum
from feature_store.declaration import Declaration, Entity, Feature
from feature_store.tiles import Window
from models.interactions import Floats, Longs


class ItemWindows:
    """Every item's window values, kept exact as time moves on: events enter and tiles leave.

    Only additive aggregates can leave a window again; another kind raises `TypeError`.
    """

    def __init__(self, declaration: Declaration, history: History) -> None:
        self._streams = [
            _stream(feature, window, history.known)
            for feature in declaration.of(Entity.ITEM)
            for window in feature.windows
        ]
        self._values = np.zeros((len(self._streams), len(history.items.ids)), np.int64)

    def advance(self, now: int) -> Floats:
        """The values as of `now`, exclusive: (items, columns), as `vectors.window_columns`."""
        for row, stream in zip(self._values, self._streams, strict=True):
            stream.move(row, now)
        return self._values.T.astype(np.float32)


@dataclass
class _Stream:
    """One column: events in order of time, and how many have entered and left."""

    items: Longs
    values: Longs
    enter: Longs
    leave: Longs
    entered: int = 0
    left: int = 0

    def move(self, row: Longs, now: int) -> None:
        entered = int(np.searchsorted(self.enter, now, "left"))
        left = int(np.searchsorted(self.leave, now, "right"))
        fresh, gone = slice(self.entered, entered), slice(self.left, left)
        np.add.at(row, self.items[fresh], self.values[fresh])
        np.subtract.at(row, self.items[gone], self.values[gone])
        self.entered, self.left = entered, left


def _stream(feature: Feature, window: Window, known: Known) -> _Stream:
    rows = np.flatnonzero(np.isin(known.kind, feature.events))
    match feature.aggregate:
        case Count():
            values = np.ones(len(rows), np.int64)
        case Sum(measure):
            values = known.measures[measure][rows]
        case other:
            raise TypeError(f"{feature.name}: teach batch/item_windows.py how {other} shrinks.")
    enter = known.time[rows]
    leave = enter - enter % window.level.ms + window.level.ms + window.ms
    return _Stream(known.item[rows], values, enter, leave)


def windows_at(declaration: Declaration, history: History, now: int) -> Floats:
    """Every item's windows at one moment, without a walk."""
    return ItemWindows(declaration, history).advance(now)
