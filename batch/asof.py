"""History replayed in order: what a store would have answered at any moment, and nothing later.

Training reads features through this and through the same `vectors.matrix` that serving calls.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, Final

import numpy as np

from batch.history import History
from batch.item_windows import ItemWindows
from batch.trending import Trending
from feature_store.declaration import Declaration, Entity, Feature
from feature_store.events import Interaction
from feature_store.stores.base import RECENTS_KEPT, Recent, UserState
from feature_store.tiles import BASE, DAY, Level, TileSet
from feature_store.trending import LISTED
from feature_store.vectors import ItemColumns
from models.interactions import Floats

Tiles = dict[tuple[Level, int], dict[str, Any]]
#: A base that ends before all days: the days the ring has let go are in it.
PAST: Final = (BASE, 0)
_event_time: Final = attrgetter("event_time")


class AsOf:
    """A walk through history; moments may only grow, and `now` is how far it has come (ms)."""

    def __init__(self, declaration: Declaration, history: History) -> None:
        self.now = 0
        self._actors = _Actors(declaration, history.events)
        self._windows = ItemWindows(declaration, history)
        self._trending = Trending(history)
        self._columns: Floats = np.zeros((len(history.items.ids), 0), np.float32)

    def advance(self, now: int) -> None:
        """Moves to `now`: whatever happened strictly before it is known.

        Raises `ValueError` for a moment that has passed.
        """
        if now < self.now:
            raise ValueError(f"the walk is at {self.now} already, {now} is past: begin another one")
        self.now = now
        self._columns = self._windows.advance(now)

    def user(self, actor: str, now: int) -> UserState:
        """The actor's tiles and recents, as a store would give them."""
        return self._actors.state(actor, now)

    def columns(self, attributes: ItemColumns) -> ItemColumns:
        """`attributes` with the items' windows of the moment."""
        return replace(attributes, windows=self._columns)

    def trending(self, now: int) -> list[tuple[str, float]]:
        """The list that would have been published at `now`, of the length that is published."""
        return self._trending.top(now, LISTED)


class _Actors:
    """Each actor's events, folded no further than the last moment somebody asked about them."""

    def __init__(self, declaration: Declaration, events: Iterable[Interaction]) -> None:
        features = {
            level: declaration.of(Entity.USER, level) for level in declaration.levels(Entity.USER)
        }
        self._features = {level: _by_type(mine) for level, mine in features.items()}
        self._lifelong = declaration.lifelong(Entity.USER)
        self._base = _by_type(self._lifelong)
        self._coming: dict[str, deque[Interaction]] = defaultdict(deque)
        for event in events:
            self._coming[event.actor].append(event)
        self._tiles: dict[str, Tiles] = defaultdict(dict)
        self._recents: dict[str, deque[Recent]] = defaultdict(lambda: deque(maxlen=RECENTS_KEPT))

    def state(self, actor: str, now: int) -> UserState:
        coming, tiles, fresh = self._coming[actor], self._tiles[actor], []
        while coming and coming[0].event_time < now:
            fresh.append(coming.popleft())
        self._recents[actor].extend(map(Recent.of, fresh[-RECENTS_KEPT:]))
        self._fold(fresh, tiles, now)
        for key in [key for key in tiles if not _kept(*key, now)]:
            self._let_go(key, tiles)
        kept = TileSet((level, start, totals) for (level, start), totals in tiles.items())
        return UserState(actor, kept, tuple(reversed(self._recents[actor])))

    def _fold(self, fresh: Sequence[Interaction], tiles: Tiles, now: int) -> None:
        """Each event into the tiles that the rings hold at `now`, and from days gone into the base.

        Most events of a long history are older than most rings: those are never looked at.
        """
        for level, features in self._features.items():
            oldest = level.start(now - level.slots * level.ms) + level.ms
            first = bisect_left(fresh, oldest, key=_event_time)
            for event in fresh[first:]:
                totals = tiles.setdefault((level, level.start(event.event_time)), {})
                for feature in features[event.type]:
                    feature.add(totals, event)
            if level is DAY:
                for event in fresh[:first]:
                    for feature in self._base[event.type]:
                        feature.add(tiles.setdefault(PAST, {}), event)

    def _let_go(self, key: tuple[Level, int], tiles: Tiles) -> None:
        """Drops a tile that the ring no longer holds; the base keeps what is lifelong."""
        totals = tiles.pop(key)
        if key[0] is not DAY:
            return
        base = tiles.setdefault(PAST, {})
        for feature in (f for f in self._lifelong if f.name in totals):
            before = base.get(feature.name, feature.aggregate.zero)
            base[feature.name] = feature.aggregate.merge(before, totals[feature.name])


def _by_type(features: Iterable[Feature]) -> Mapping[str, list[Feature]]:
    """The features that read each type of event."""
    found: dict[str, list[Feature]] = defaultdict(list)
    for feature in features:
        for kind in feature.events:
            found[kind].append(feature)
    return found


def _kept(level: Level, start: int, now: int) -> bool:
    """Whether the ring still holds a tile; a base stays."""
    return level is BASE or start > now - level.slots * level.ms
