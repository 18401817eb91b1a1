"""History replayed in order: what a store would have answered at any moment, and nothing later.

Training reads features through this and through the same `vectors.matrix` that serving calls.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from batch.history import History, Known
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
            raise TypeError(f"{feature.name}: teach batch/asof.py how {other} shrinks.")
    enter = known.time[rows]
    leave = enter - enter % window.level.ms + window.level.ms + window.ms
    return _Stream(known.item[rows], values, enter, leave)


class AsOf:
    """A walk through history; moments may only grow."""

    def __init__(self, declaration: Declaration, history: History) -> None:
        self._actors = _Actors(declaration, history.events)
        self._windows = ItemWindows(declaration, history)
        self._ids = history.items.ids
        self._trending = _column(declaration)
        self._columns: Floats = np.zeros((len(self._ids), 0), np.float32)

    def advance(self, now: int) -> None:
        """Moves to `now`: whatever happened strictly before it is known."""
        self._columns = self._windows.advance(now)

    def user(self, actor: str, now: int) -> UserState:
        """The actor's tiles and recents, as a store would give them."""
        return self._actors.state(actor, now)

    def columns(self, attributes: ItemColumns) -> ItemColumns:
        """`attributes` with the items' windows of the moment."""
        return replace(attributes, windows=self._columns)

    def trending(self) -> list[tuple[str, float]]:
        """The items with the most engagement in the trending window, best first."""
        if self._trending is None:
            return []
        positions, scores = top(self._columns[:, self._trending], CAPS["trending"])
        return [(self._ids[p], float(s)) for p, s in zip(positions, scores, strict=True)]


class _Actors:
    """Each actor's events, folded no further than the last moment somebody asked about them."""

    def __init__(self, declaration: Declaration, events: Iterable[Interaction]) -> None:
        self._levels = declaration.levels(Entity.USER)
        self._reading: dict[str, list[Feature]] = defaultdict(list)
        for feature in declaration.of(Entity.USER):
            for kind in feature.events:
                self._reading[kind].append(feature)
        self._coming: dict[str, deque[Interaction]] = defaultdict(deque)
        for event in events:
            self._coming[event.actor].append(event)
        self._tiles: dict[str, Tiles] = defaultdict(dict)
        self._recents: dict[str, deque[Recent]] = defaultdict(lambda: deque(maxlen=RECENTS_KEPT))

    def state(self, actor: str, now: int) -> UserState:
        coming, tiles = self._coming[actor], self._tiles[actor]
        while coming and coming[0].event_time < now:
            self._apply(coming.popleft(), tiles, now)
        for level, start in [key for key in tiles if not _kept(*key, now)]:
            del tiles[level, start]
        kept = TileSet((level, start, values) for (level, start), values in tiles.items())
        return UserState(actor, kept, tuple(reversed(self._recents[actor])))

    def _apply(self, event: Interaction, tiles: Tiles, now: int) -> None:
        self._recents[event.actor].append(_recent(event))
        reading = self._reading.get(event.type, ())
        for level in self._levels:
            start = level.start(event.event_time)
            if not reading or not _kept(level, start, now):
                continue
            values = tiles.setdefault((level, start), {})
            for feature in reading:
                values[feature.name] = feature.aggregate.add(values.get(feature.name, 0), event)


def _kept(level: Level, start: int, now: int) -> bool:
    """Whether the ring still holds a tile."""
    return start > now - level.slots * level.ms


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
