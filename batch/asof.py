"""History replayed in order: what a store would have answered at any moment, and nothing later.

Training reads features through this and through the same `vectors.matrix` that serving calls.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from batch.history import History
from feature_store.aggregates import Count, Sum
from feature_store.declaration import Declaration, Entity, Feature
from feature_store.events import Interaction
from feature_store.stores.base import RECENTS_KEPT, Recent, UserState
from feature_store.tiles import Level, TileSet, Window
from feature_store.vectors import ItemColumns, window_columns
from models.interactions import Floats, Longs
from models.retrieval import CAPS, TRENDING_WINDOW
from models.topk import top

Tiles = dict[tuple[Level, int], dict[str, int]]


class ItemWindows:
    """Every item's window values, kept exact as time moves on: events enter and tiles leave.

    Only additive aggregates can leave a window again; another kind raises `TypeError`.
    """

    def __init__(self, declaration: Declaration, history: History) -> None:
        index_of = history.items.index_of
        known = [event for event in history.events if event.item_id in index_of]
        positions = np.asarray([index_of[event.item_id] for event in known], np.int64)
        self._streams = [
            _stream(feature, window, known, positions)
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


def _stream(
    feature: Feature, window: Window, events: list[Interaction], positions: Longs
) -> _Stream:
    if not isinstance(feature.aggregate, Count | Sum):
        raise TypeError(f"{feature.name}: teach batch/asof.py how a {feature.aggregate} shrinks.")
    rows = [row for row, event in enumerate(events) if event.type in feature.events]
    values = [feature.aggregate.add(0, events[row]) for row in rows]
    enter = np.asarray([events[row].event_time for row in rows], np.int64)
    leave = enter - enter % window.level.ms + window.level.ms + window.ms
    return _Stream(positions[rows], np.asarray(values, np.int64), enter, leave)


class AsOf:
    """A walk through history; moments may only grow."""

    def __init__(self, declaration: Declaration, history: History) -> None:
        self._events, self._next = history.events, 0
        self._windows = ItemWindows(declaration, history)
        self._levels = declaration.levels(Entity.USER)
        self._reading: dict[str, list[Feature]] = defaultdict(list)
        for feature in declaration.of(Entity.USER):
            for kind in feature.events:
                self._reading[kind].append(feature)
        self._tiles: dict[str, Tiles] = defaultdict(dict)
        self._recents: dict[str, deque[Recent]] = defaultdict(lambda: deque(maxlen=RECENTS_KEPT))
        self._ids = history.items.ids
        self._trending = _column(declaration)
        self._columns: Floats = np.zeros((len(self._ids), 0), np.float32)

    def advance(self, now: int) -> None:
        """Applies every event strictly before `now`."""
        while self._next < len(self._events) and self._events[self._next].event_time < now:
            self._apply(self._events[self._next])
            self._next += 1
        self._columns = self._windows.advance(now)

    def user(self, actor: str, now: int) -> UserState:
        """The actor's tiles and recents, as a store would give them."""
        tiles = self._tiles[actor]
        for level, start in [key for key in tiles if key[1] < now - key[0].slots * key[0].ms]:
            del tiles[level, start]
        kept = TileSet((level, start, values) for (level, start), values in tiles.items())
        return UserState(actor, kept, tuple(reversed(self._recents[actor])))

    def columns(self, attributes: ItemColumns) -> ItemColumns:
        """`attributes` with the items' windows of the moment."""
        return replace(attributes, windows=self._columns)

    def trending(self) -> list[tuple[str, float]]:
        """The items with the most engagement in the trending window, best first."""
        if self._trending is None:
            return []
        positions, scores = top(self._columns[:, self._trending], CAPS["trending"])
        return [(self._ids[p], float(s)) for p, s in zip(positions, scores, strict=True)]

    def _apply(self, event: Interaction) -> None:
        self._recents[event.actor].append(_recent(event))
        reading = self._reading.get(event.type, ())
        tiles = self._tiles[event.actor]
        for level in self._levels if reading else ():
            values = tiles.setdefault((level, level.start(event.event_time)), {})
            for feature in reading:
                values[feature.name] = feature.aggregate.add(values.get(feature.name, 0), event)


def _recent(event: Interaction) -> Recent:
    return Recent(
        event.event_time, event.event_id, event.type, event.item_id,
        event.quantity, event.price_minor, event.query,
    )  # fmt: skip


def _column(declaration: Declaration) -> int | None:
    """Where the trending source finds engagement among the item columns, if it is declared."""
    name = f"{Entity.ITEM}_engagement_{TRENDING_WINDOW}"
    names = window_columns(declaration, Entity.ITEM)
    return names.index(name) if name in names else None


def windows_at(declaration: Declaration, history: History, now: int) -> npt.NDArray[np.float32]:
    """Every item's windows at one moment, without a walk."""
    return ItemWindows(declaration, history).advance(now)
