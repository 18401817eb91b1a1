"""What a person's whole history says about each candidate: how often, how lately, how due.

The columns that a bundle adds to those of the declaration; recents reach back some weeks only.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from feature_store.kernels import address, kernel
from feature_store.lookup import Doubles, Places, side_by_side
from feature_store.tiles import DAY_MS
from feature_store.vectors import ItemColumns
from models.interactions import Floats, Ints, Longs
from models.own import Arrays, Owned
from models.repeats import Repeats

KERNEL: Final = Path(__file__).with_suffix(".c")
HABIT: Final = (
    "own_strength",
    "own_strength_share",
    "own_visits",
    "own_turn_share",
    "own_days_since",
    "own_days_between",
    "own_due",
    "own_turns_since",
    "own_due_as_others",
    "item_repeat_share",
    "item_repeat_days",
    "own_category_strength",
    "own_category_visits",
    "own_category_days_since",
    "own_category_items",
    "own_share_of_category",
    "own_brand_strength",
    "user_turns",
    "user_items_per_turn",
    "user_repeat_share",
)


def of_candidates(
    owned: Owned,
    repeats: Repeats,
    items: ItemColumns,
    positions: Ints,
    now: int,
    out: Floats | None = None,
) -> Floats:
    """The values of `HABIT`, (candidates, columns); NaN where there is nothing to tell from.

    `out` is where they are to be: columns of a table that lies row by row.
    """
    told = np.empty((len(positions), len(HABIT)), np.float32) if out is None else out
    library = kernel(KERNEL)
    if library is None:
        told[:] = of_candidates_by_numpy(owned, repeats, items, positions, now)
        return told
    library.habits.restype = None
    library.habits(
        ctypes.byref(Arrays.of(owned)),
        ctypes.c_int32(owned.turns),
        *repeats.lie,
        *items.lie[:2],
        address(positions, np.int32),
        ctypes.c_ssize_t(len(positions)),
        ctypes.c_int64(now),
        address(told, np.float32),
        ctypes.c_ssize_t(told.strides[0] // told.itemsize),
    )
    return told


def of_candidates_by_numpy(
    owned: Owned, repeats: Repeats, items: ItemColumns, positions: Ints, now: int
) -> Floats:
    """The same where there is no compiler, and what the kernel is held against."""
    mine = Places.of(positions, owned.items)
    bought = mine.pick(owned.bought, 0)
    known = bought > 0
    since = np.where(known, (now - mine.pick(owned.last, 0)) / DAY_MS, np.nan)
    between = _between(mine, owned, bought)
    strength, liked = mine.pick(owned.strengths, 0), np.maximum(owned.strengths, 0)
    total = max(float(liked.sum(dtype=np.float64)), 1e-9)
    days = repeats.days[positions]
    kind = _Kinds.of(owned, items.category, positions)
    of_kind = kind.sum(liked)
    values: tuple[Doubles | Floats | float, ...] = (
        strength,
        strength / total,
        bought,
        bought / max(owned.turns, 1),
        since,
        between,
        since / np.maximum(between, 0.5),
        np.where(known, owned.turns - mine.pick(owned.turn, 0), np.nan),
        since / np.maximum(days, 0.5),
        repeats.share[positions],
        days,
        of_kind / total,
        kind.sum(owned.bought),
        kind.days_since(owned.last, now),
        kind.sum(None),
        strength / np.maximum(of_kind, 1e-9),
        _Kinds.of(owned, items.brand, positions).sum(liked) / total,
        *_person(owned),
    )
    return side_by_side(values, len(positions))


@dataclass(frozen=True)
class _Kinds:
    """The kinds (categories, brands) of a person's items: `group` (items of theirs,) of `count`.

    `place` says where each candidate's own kind is among them.
    """

    group: Longs
    count: int
    place: Places

    @classmethod
    def of(cls, owned: Owned, codes: Ints, positions: Ints) -> _Kinds:
        """`codes` by item; the kind -1 is unknown, and nobody's."""
        kinds, group = np.unique(codes[owned.items], return_inverse=True)
        wanted = codes[positions]
        place = Places.of(wanted, kinds)
        return cls(group, len(kinds), Places(place.rows, place.there & (wanted >= 0)))

    def sum(self, values: Floats | Ints | None) -> Doubles:
        """The sum of what a person's items of the candidate's kind have; their number of None."""
        return self.place.pick(np.bincount(self.group, values, self.count), 0)

    def days_since(self, last: Longs, now: int) -> Doubles:
        """Days since the newest of the times `last` (ms, 0 for never); NaN without one."""
        newest = np.zeros(self.count, np.int64)
        np.maximum.at(newest, self.group, last)
        days = np.where(newest > 0, (now - newest) / DAY_MS, np.nan)
        return self.place.pick(days, np.nan)


def _between(mine: Places, owned: Owned, bought: Doubles) -> Doubles:
    """Days between purchases of each candidate on the mean; NaN before the second one."""
    span = (mine.pick(owned.last, 0) - mine.pick(owned.first, 0)) / DAY_MS
    return np.where(bought > 1, span / np.maximum(bought - 1, 1), np.nan)


def _person(owned: Owned) -> tuple[float, float, float]:
    """Shopping visits, items a visit, and the share of items bought more than once."""
    bought = owned.bought[owned.bought > 0]
    if not len(bought):
        return float(owned.turns), np.nan, np.nan
    share = float((bought > 1).mean())
    return float(owned.turns), float(bought.sum()) / max(owned.turns, 1), share
