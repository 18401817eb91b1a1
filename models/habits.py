"""What a person's whole history says about each candidate: how often, how lately, how due.

The columns that a bundle adds to those of the declaration; recents reach back some weeks only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_store.tiles import DAY_MS
from models.interactions import Bools, Floats, Ints, Longs
from models.own import Owned
from models.repeats import Repeats

_Doubles = npt.NDArray[np.float64]

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
    owned: Owned, repeats: Repeats, category: Ints, brand: Ints, positions: Ints, now: int
) -> Floats:
    """The values of `HABIT`, (candidates, columns); NaN where there is nothing to tell from.

    `category` and `brand` are codes by item, -1 for unknown.
    """
    mine = _Mine.of(owned.items, positions)
    bought = mine.pick(owned.bought, 0)
    known = bought > 0
    since = np.where(known, (now - mine.pick(owned.last, 0)) / DAY_MS, np.nan)
    between = _between(mine, owned, bought)
    strength = mine.pick(owned.strengths, 0)
    total = max(float(np.maximum(owned.strengths, 0).sum()), 1e-9)
    days = repeats.days[positions]
    kind = _Kinds.of(owned, category, positions, now)
    values: tuple[_Doubles | Floats, ...] = (
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
        kind.strength / total,
        kind.bought,
        kind.since,
        kind.items,
        strength / np.maximum(kind.strength, 1e-9),
        _Kinds.of(owned, brand, positions, now).strength / total,
        *(np.full(len(positions), value) for value in _person(owned)),
    )
    return np.asarray(np.stack(values, axis=1), np.float32)


@dataclass(frozen=True)
class _Mine:
    """Where each candidate is among a person's items, if it is."""

    rows: Longs
    there: Bools

    @classmethod
    def of(cls, mine: Ints, positions: Ints) -> _Mine:
        if not len(mine):
            return cls(np.zeros(len(positions), np.int64), np.zeros(len(positions), np.bool_))
        rows = np.minimum(np.searchsorted(mine, positions), len(mine) - 1)
        return cls(rows, mine[rows] == positions)

    def pick(self, values: npt.NDArray[np.generic], otherwise: float) -> _Doubles:
        """The candidates' values, (candidates,)."""
        if not len(values):
            return np.full(len(self.rows), otherwise)
        return np.where(self.there, values[self.rows], otherwise).astype(np.float64)


@dataclass(frozen=True)
class _Kinds:
    """What a person did with all items of each candidate's kind (a category, a brand)."""

    strength: _Doubles
    bought: _Doubles
    items: _Doubles
    since: _Doubles

    @classmethod
    def of(cls, owned: Owned, codes: Ints, positions: Ints, now: int) -> _Kinds:
        """Zero, and NaN days, where a person did nothing or the kind is unknown."""
        unique, group = np.unique(codes[owned.items], return_inverse=True)
        kind = _Mine.of(unique.astype(np.int32), codes[positions])
        kind = _Mine(kind.rows, kind.there & (codes[positions] >= 0))
        last = np.zeros(len(unique), np.int64)
        np.maximum.at(last, group, owned.last)
        strength = np.bincount(group, np.maximum(owned.strengths, 0), len(unique))
        newest = kind.pick(last, 0)
        return cls(
            strength=kind.pick(strength, 0),
            bought=kind.pick(np.bincount(group, owned.bought, len(unique)), 0),
            items=kind.pick(np.bincount(group, minlength=len(unique)), 0),
            since=np.where(newest > 0, (now - newest) / DAY_MS, np.nan),
        )


def _between(mine: _Mine, owned: Owned, bought: _Doubles) -> _Doubles:
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
