"""What a person's whole history says about each candidate: how often, how lately, how due.

The columns that a bundle adds to those of the declaration; recents reach back some weeks only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feature_store.lookup import Doubles, Places, side_by_side
from feature_store.tiles import DAY_MS
from models.interactions import Floats, Ints
from models.own import Owned
from models.repeats import Repeats

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
    mine = Places.of(positions, owned.items)
    bought = mine.pick(owned.bought, 0)
    known = bought > 0
    since = np.where(known, (now - mine.pick(owned.last, 0)) / DAY_MS, np.nan)
    between = _between(mine, owned, bought)
    strength = mine.pick(owned.strengths, 0)
    total = max(float(np.maximum(owned.strengths, 0).sum()), 1e-9)
    days = repeats.days[positions]
    kind = _Kinds.of(owned, category, positions, now)
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
        kind.strength / total,
        kind.bought,
        kind.since,
        kind.items,
        strength / np.maximum(kind.strength, 1e-9),
        _Kinds.of(owned, brand, positions, now).strength / total,
        *_person(owned),
    )
    return side_by_side(values, len(positions))


@dataclass(frozen=True)
class _Kinds:
    """What a person did with all items of each candidate's kind (a category, a brand)."""

    strength: Doubles
    bought: Doubles
    items: Doubles
    since: Doubles

    @classmethod
    def of(cls, owned: Owned, codes: Ints, positions: Ints, now: int) -> _Kinds:
        """Zero, and NaN days, where a person did nothing or the kind is unknown."""
        unique, group = np.unique(codes[owned.items], return_inverse=True)
        wanted = codes[positions]
        kind = Places.of(wanted, unique)
        kind = Places(kind.rows, kind.there & (wanted >= 0))
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
