"""A person's own history, decayed: the strongest single source where people buy again.

Counts visits, not lines or quantities, and keeps purchases apart from looks: only what was bought
has a rhythm. Last night's sums lie in the bundle; what happened since is added from the live
recents, so the first click already counts.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_store.events import WEIGHTS
from feature_store.kernels import address, kernel, location
from feature_store.sessions import SESSION_GAP_MS
from feature_store.stores.base import Recent
from models.interactions import (
    PURCHASE,
    Bools,
    Floats,
    Interactions,
    Ints,
    Longs,
    Visits,
    decay,
    visits,
)

KERNEL: Final = Path(__file__).with_suffix(".c")
#: Of the arrays of an `Owned`.
KINDS: Final[tuple[type[np.generic], ...]] = (
    np.int32,
    np.float32,
    np.int32,
    np.int64,
    np.int64,
    np.int32,
)
#: When something was first bought that never was; and last bought: 0.
NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Owned:
    """What one person did with each item so far; arrays are (items of theirs,), by position.

    `strengths` are decayed and of all kinds of interaction. The rest is of purchases alone:
    in how many visits, the first and the last time (ms), and the number of the shopping visit in
    which it was bought last, of `turns` in all.
    """

    items: Ints
    strengths: Floats
    bought: Ints
    first: Longs
    last: Longs
    turn: Ints
    turns: int

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """In the order of the fields."""
        return self.items, self.strengths, self.bought, self.first, self.last, self.turn

    @classmethod
    def of(cls, arrays: Sequence[npt.NDArray[Any]], turns: int) -> Owned:
        """From arrays in the order of the fields."""
        items, strengths, bought, first, last, turn = arrays
        return cls(items, strengths, bought, first, last, turn, turns)


@dataclass(frozen=True)
class OwnHistory:
    """What every actor did as of `cut_ms`, as sparse rows sorted by actor.

    Row r is the part `indptr[r]:indptr[r + 1]` of the arrays that `Owned` explains; `newest`
    (rows,) is the actor's newest event counted (ms), so whatever came later, even late, is fresh;
    `turns` (rows,) is their number of shopping visits. One purchase a moment ago has strength 1; it
    halves every `half_life_days`.
    """

    cut_ms: int
    half_life_days: float
    row_of: Mapping[str, int]
    indptr: Longs
    items: Ints
    strengths: Floats
    bought: Ints
    first: Longs
    last: Longs
    turn: Ints
    newest: Longs
    turns: Ints

    def of(
        self, actor: str, recents: Sequence[Recent], index_of: Mapping[str, int], now: int
    ) -> Owned:
        """What the actor did as of `now` (ms): by last night, and what came since."""
        row = self.row_of.get(actor)
        nightly = self._nightly(row, now)
        fresh = _fresh(recents, index_of, 0 if row is None else int(self.newest[row]) + 1)
        if not len(fresh):
            return nightly
        library = kernel(KERNEL)
        if library is None:
            return _added_by_numpy(nightly, fresh, now, self.half_life_days)
        return _added(library, nightly, fresh, now, self.half_life_days)

    def before(self, actor: str) -> tuple[Ints, Ints]:
        """The items that the actor had to do with by last night, and in how many visits bought."""
        part = self._part(self.row_of.get(actor))
        return self.items[part], self.bought[part]

    def _part(self, row: int | None) -> slice:
        return slice(0) if row is None else slice(self.indptr[row], self.indptr[row + 1])

    def _nightly(self, row: int | None, now: int) -> Owned:
        part = self._part(row)
        left = decay(np.asarray(now - self.cut_ms, np.float64), self.half_life_days)
        return Owned(
            np.asarray(self.items[part]),
            np.asarray(self.strengths[part]) * left,
            np.asarray(self.bought[part]),
            np.asarray(self.first[part]),
            np.asarray(self.last[part]),
            np.asarray(self.turn[part]),
            0 if row is None else int(self.turns[row]),
        )


def fit(log: Interactions, cut_ms: int, half_life_days: float) -> OwnHistory:
    """Sums the visits of a log that ends before `cut_ms`."""
    seen = visits(log)
    turn, turns = _turns(seen, len(log.actor_ids))
    width = int(seen.item.max(initial=0)) + 1
    keys, groups = np.unique(seen.actor.astype(np.int64) * width + seen.item, return_inverse=True)
    present, counts = np.unique(keys // width, return_counts=True)
    sums = _sums(seen, turn, groups, len(keys), cut_ms, half_life_days)
    return OwnHistory(
        cut_ms=cut_ms,
        half_life_days=half_life_days,
        row_of={log.actor_ids[code]: row for row, code in enumerate(present)},
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        items=(keys % width).astype(np.int32),
        strengths=sums.strengths,
        bought=sums.bought,
        first=sums.first,
        last=sums.last,
        turn=sums.turn,
        newest=_newest(log)[present],
        turns=turns[present],
    )


def _sums(
    seen: Visits, turn: Ints, groups: Longs, count: int, now: int, half_life_days: float
) -> Owned:
    """Visits added up by group, as of `now`."""
    worth = seen.strength * decay((now - seen.start).astype(np.float64), half_life_days)
    taken = seen.bought
    first, last = np.full(count, NEVER), np.zeros(count, np.int64)
    np.minimum.at(first, groups[taken], seen.start[taken])
    np.maximum.at(last, groups[taken], seen.start[taken])
    newest = np.zeros(count, np.int32)
    np.maximum.at(newest, groups[taken], turn[taken])
    return Owned(
        items=np.zeros(count, np.int32),
        strengths=np.bincount(groups, worth, count).astype(np.float32),
        bought=np.bincount(groups[taken], minlength=count).astype(np.int32),
        first=first,
        last=last,
        turn=newest,
        turns=int(turn.max(initial=0)),
    )


def _turns(seen: Visits, actors: int) -> tuple[Ints, Ints]:
    """The number of each visit among its actor's shopping visits, from 1, and each actor's last."""
    session, place = np.unique(seen.session, return_inverse=True)
    shopping: Bools = np.zeros(len(session), np.bool_)
    shopping[place[seen.bought]] = True
    running = np.cumsum(shopping)
    before = np.full(actors, np.iinfo(np.int64).max)
    np.minimum.at(before, seen.actor, running[place] - shopping[place])
    turn = np.where(seen.bought, running[place] - before[seen.actor], 0).astype(np.int32)
    turns = np.zeros(actors, np.int32)
    np.maximum.at(turns, seen.actor, turn)
    return turn, turns


def _added_by_numpy(known: Owned, rows: Longs, now: int, half_life_days: float) -> Owned:
    """What was known, and `rows` (rows, 3) of item, time and weight.

    For where there is no compiler, and what the kernel is held against.
    """
    item, time, weight = rows.T
    nobody, nothing = np.zeros(len(rows), np.int32), np.zeros(len(rows), np.int64)
    fresh = visits(Interactions.build(("",), nobody, item, time, weight, nothing))
    unique, inverse = np.unique(np.concatenate([known.items, fresh.item]), return_inverse=True)
    old, new = inverse[: len(known.items)], inverse[len(known.items) :]
    turn, turns = _turns(fresh, 1)
    sums = _sums(fresh, turn, new, len(unique), now, half_life_days)
    sums.strengths[old] += known.strengths
    sums.bought[old] += known.bought
    sums.first[old] = np.minimum(sums.first[old], known.first)
    sums.last[old] = np.maximum(sums.last[old], known.last)
    later = np.where(sums.turn > 0, sums.turn + known.turns, 0).astype(np.int32)
    later[old] = np.maximum(later[old], known.turn)
    return Owned(
        unique.astype(np.int32), sums.strengths, sums.bought, sums.first, sums.last, later,
        known.turns + int(turns[0]),
    )  # fmt: skip


class Arrays(ctypes.Structure):
    """Where those of an `Owned` lie, for kernels."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("items", "strengths", "bought", "first", "last")),
        ("turn", ctypes.c_void_p),
        ("count", ctypes.c_int64),
    )

    @classmethod
    def of(cls, owned: Owned) -> Arrays:
        pairs = zip(owned.arrays, KINDS, strict=True)
        return cls(*(location(array, kind) for array, kind in pairs), len(owned.items))


def _added(
    library: ctypes.CDLL, known: Owned, rows: Longs, now: int, half_life_days: float
) -> Owned:
    most, turns = len(known.items) + len(rows), ctypes.c_int32()
    room = Owned.of([np.empty(most, array.dtype) for array in known.arrays], 0)
    library.add.restype = ctypes.c_ssize_t
    count = library.add(
        ctypes.byref(Arrays.of(known)),
        ctypes.c_int32(known.turns),
        address(rows, np.int64),
        ctypes.c_int64(len(rows)),
        ctypes.c_int64(now),
        ctypes.c_double(half_life_days),
        ctypes.c_int64(SESSION_GAP_MS),
        ctypes.c_int32(PURCHASE),
        ctypes.c_int64(NEVER),
        ctypes.byref(Arrays.of(room)),
        ctypes.byref(turns),
    )
    return Owned.of([array[:count] for array in room.arrays], turns.value)


def _newest(log: Interactions) -> Longs:
    """Each actor's newest event time, (actors,)."""
    newest = np.zeros(len(log.actor_ids), np.int64)
    np.maximum.at(newest, log.actor, log.time)
    return newest


def _fresh(recents: Sequence[Recent], index_of: Mapping[str, int], since: int) -> Longs:
    """Item, time and weight of the recents that the nightly sums do not hold, (rows, 3)."""
    rows = [
        (index_of[r.item_id], r.event_time, WEIGHTS.get(r.type, 0))
        for r in recents
        if r.event_time >= since and r.item_id in index_of
    ]
    return np.asarray(rows, np.int64).reshape(-1, 3)
