"""A log of interactions to measure with: made quickly, the same for every side, exactly known.

People and items follow Zipf's law, event times rise from the start of the span to its end, event
ids are random, and one message in a hundred is a copy of one of the thousand before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from feature_store.declaration import Declaration, Entity
from feature_store.stores.base import RECENTS_KEPT
from feature_store.tiles import Level

USER_SKEW, ITEM_SKEW = 0.6, 1.0
#: Types of events and how often each comes.
MIX: Final = {"view": 0.62, "click": 0.2, "add_to_cart": 0.1, "purchase": 0.05, "like": 0.03}
DUPLICATES, FARTHEST_COPY = 0.01, 1000
#: How many of the last messages must be in the store before the work counts as done.
TAIL: Final = 200

Column = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Log:
    """Events as columns, and `order`: which event each message carries (copies repeat one)."""

    users: Column
    items: Column
    kinds: Column
    times: Column
    order: Column
    seed: int

    @property
    def messages(self) -> int:
        """How many messages the log has, copies included."""
        return len(self.order)

    @cached_property
    def distinct(self) -> Column:
        """The events that are in the log, each once."""
        return np.unique(self.order)

    def lines(self) -> Iterator[str]:
        """The messages as `actor TAB body` lines, in order."""
        types = list(MIX)
        ids = np.random.default_rng(self.seed).bytes(16 * len(self.users)).hex()
        columns = (self.users, self.items, self.kinds, self.times)
        users, items, kinds, times = (column.tolist() for column in columns)
        for n in self.order.tolist():
            user, item = f"user-{users[n]:07}", items[n]
            yield (
                f'{user}\t{{"schema_version":1,"event_id":"{ids[32 * n : 32 * n + 32]}",'
                f'"user_id":"{user}","item_id":"item-{item:06}","type":"{types[kinds[n]]}",'
                f'"event_time":{times[n]},"quantity":{1 + n % 3},"price":{item % 500}.{n % 10}9,'
                '"context":{"device":"mobile","country":"DE","page":"home"}}\n'
            )

    def tail(self, features: Declaration) -> Tail:
        """What the store holds of the last messages' tiles and recents, once all is written."""
        last = np.unique(self.order[-TAIL:])
        tiles: dict[tuple[str, str, str, int], int] = {}
        for entity, ids, name in (
            (Entity.USER, self.users, "user-{:07}"),
            (Entity.ITEM, self.items, "item-{:06}"),
        ):
            for level in features.levels(entity):
                # Only tiles that are sure to be young enough when their events arrive.
                young = int(self.times[-1]) - level.span_ms // 2
                for key, start, count in self._counts(ids, level, last):
                    if start >= young:
                        tiles[entity, name.format(key), level.code, start] = count
        per_user = np.bincount(self.users[self.distinct])
        recents = {
            f"user-{user:07}": min(RECENTS_KEPT, int(per_user[user]))
            for user in self.users[last].tolist()
        }
        return Tail(tiles, recents)

    def _counts(self, ids: Column, level: Level, last: Column) -> Iterator[tuple[int, int, int]]:
        """(id, tile start, events) of every tile that the `last` events touch."""
        address = ids * 2**40 + self.times // level.ms
        touched = np.unique(address[last])
        mine = address[self.distinct]
        counts = np.bincount(np.searchsorted(touched, mine[np.isin(mine, touched)]))
        for packed, count in zip(touched.tolist(), counts.tolist(), strict=True):
            yield packed // 2**40, packed % 2**40 * level.ms, count


@dataclass(frozen=True, slots=True)
class Tail:
    """Events applied to tiles, by (entity, id, level code, start); recents kept, by actor."""

    tiles: dict[tuple[str, str, str, int], int]
    recents: dict[str, int]


def make(events: int, users: int, items: int, span_ms: int, end_ms: int, seed: int = 7) -> Log:
    """A log of `events` messages whose event times fill the `span_ms` before `end_ms`."""
    rng = np.random.default_rng(seed)
    order = np.arange(events)
    copies = np.flatnonzero(rng.random(events) < DUPLICATES)
    order[copies] = np.maximum(0, copies - rng.integers(1, FARTHEST_COPY, len(copies)))
    return Log(
        users=_zipf(rng, users, USER_SKEW, events),
        items=_zipf(rng, items, ITEM_SKEW, events),
        kinds=rng.choice(len(MIX), events, p=list(MIX.values())),
        times=np.sort(end_ms - rng.integers(0, span_ms, events)),
        order=order,
        seed=seed,
    )


def _zipf(rng: np.random.Generator, population: int, skew: float, draws: int) -> Column:
    """Draws from 0 … population - 1; rank r has a chance of r^-skew; ranks are shuffled."""
    chances = np.arange(1, population + 1) ** -skew
    ranks = np.searchsorted(np.cumsum(chances / chances.sum()), rng.random(draws))
    drawn: Column = rng.permutation(population)[np.minimum(ranks, population - 1)]
    return drawn
