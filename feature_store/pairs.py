"""What a user's last interactions say about each candidate: affinity, habit, price."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from feature_store.derived import Derived
from feature_store.kernels import address, kernel
from feature_store.lookup import Doubles, Places, side_by_side
from feature_store.sessions import SESSION_GAP_MS
from feature_store.stores.base import Recent
from feature_store.tiles import DAY_MS

if TYPE_CHECKING:
    from feature_store.vectors import ItemColumns

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

KERNEL: Final = Path(__file__).with_suffix(".c")
PAIRS: Final = (
    Derived("pair_interactions", ("recents",), "interactions of the user with the item"),
    Derived("pair_days_since_last", ("recents",), "days since the newest of them"),
    Derived(
        "pair_days_between_visits",
        ("recents",),
        "mean days between the user's visits to the item: a habit",
    ),
    Derived(
        "pair_due",
        ("recents",),
        "pair_days_since_last / pair_days_between_visits: from 1 on, the habit is due",
    ),
    Derived("pair_session_interactions", ("recents",), "those of them in the session that goes on"),
    Derived(
        "pair_category_share",
        ("recents", "descriptions"),
        "share of the user's interactions that were with the item's category",
    ),
    Derived(
        "pair_brand_share",
        ("recents", "descriptions"),
        "share of the user's interactions that were with the item's brand",
    ),
    Derived(
        "pair_price_log_ratio",
        ("recents", "descriptions"),
        "ln(the item's price / the median price of what the user met)",
    ),
)
PAIR: Final = tuple(one.name for one in PAIRS)


@dataclass(frozen=True, slots=True)
class Seen:
    """The last interactions, newest first: `positions` of their items, -1 for unknown; ms."""

    positions: Ints
    times: Longs

    @classmethod
    def of(cls, recents: Sequence[Recent], index_of: Mapping[str, int]) -> Seen:
        """`index_of`: item id -> position."""
        positions = (index_of.get(recent.item_id, -1) for recent in recents)
        times = (recent.event_time for recent in recents)
        return cls(
            np.fromiter(positions, np.int32, len(recents)),
            np.fromiter(times, np.int64, len(recents)),
        )


def of_pairs(
    recents: Sequence[Recent],
    items: ItemColumns,
    index_of: Mapping[str, int],
    candidates: Ints,
    now: int,
    out: Floats | None = None,
) -> Floats:
    """The columns of `PAIR`, (candidates, columns); NaN where there is nothing to tell from.

    `out` is where they are to be: columns of a table that lies row by row.
    """
    seen = Seen.of(recents, index_of)
    told = np.empty((len(candidates), len(PAIR)), np.float32) if out is None else out
    library = kernel(KERNEL)
    if library is None:
        told[:] = of_pairs_by_numpy(seen, items, candidates, now)
        return told
    library.pairs.restype = None
    library.pairs(
        address(seen.positions, np.int32),
        address(seen.times, np.int64),
        ctypes.c_ssize_t(len(recents)),
        *items.lie,
        address(candidates, np.int32),
        ctypes.c_ssize_t(len(candidates)),
        ctypes.c_int64(now),
        ctypes.c_int64(SESSION_GAP_MS),
        address(told, np.float32),
        ctypes.c_ssize_t(told.strides[0] // told.itemsize),
    )
    return told


def of_pairs_by_numpy(seen: Seen, items: ItemColumns, candidates: Ints, now: int) -> Floats:
    """The same where there is no compiler, and what the kernel is held against."""
    known = seen.positions >= 0
    if not known.any():
        return _strangers(len(candidates))
    pauses = np.concatenate([[now], seen.times[:-1]]) - seen.times > SESSION_GAP_MS
    going_on = ~np.logical_or.accumulate(pauses)
    in_session = int(np.count_nonzero(known & going_on))
    positions, times = seen.positions[known], seen.times[known].astype(np.float64)
    met = _Met.of(positions, times, in_session, now)
    place = Places.of(candidates, met.items)
    since, between = place.pick(met.since, np.nan), place.pick(met.between, np.nan)
    values = (
        place.pick(met.count, 0),
        since,
        between,
        since / between,
        place.pick(met.in_session, 0),
        _share(items.category, positions, candidates),
        _share(items.brand, positions, candidates),
        _log_ratio(items.price_minor[candidates], items.price_minor[positions]),
    )
    return side_by_side(values, len(candidates))


def _strangers(count: int) -> Floats:
    """For somebody who has done nothing yet: no interactions, no habit, no usual price."""
    telling = ("days", "due", "ratio")
    row = [np.nan if any(word in name for word in telling) else 0.0 for name in PAIR]
    return np.tile(np.asarray(row, np.float32), (count, 1))


@dataclass(frozen=True, slots=True)
class _Met:
    """The items of the last interactions, ascending, and what happened to each: all (items,).

    `since` is days since the newest interaction, `between` the mean days between its visits.
    """

    items: Ints
    count: Longs
    in_session: Longs
    since: Doubles
    between: Doubles

    @classmethod
    def of(cls, seen: Ints, times: Doubles, in_session: int, now: int) -> _Met:
        """From positions and times of interactions, newest first."""
        items, first, group, count = np.unique(
            seen, return_index=True, return_inverse=True, return_counts=True
        )
        last = np.zeros(len(items), np.int64)
        last[group] = np.arange(len(seen))  # of several rows of an item, the last one stays
        newest, oldest = times[first], times[last]
        pauses = _visits(group, times, len(items)) - 1
        between = np.full(len(items), np.nan)
        np.divide((newest - oldest) / DAY_MS, pauses, out=between, where=pauses > 0)
        recently = np.bincount(group[:in_session], minlength=len(items))
        return cls(items, count, recently, (now - newest) / DAY_MS, between)


def _visits(group: Longs, times: Doubles, groups: int) -> Longs:
    """In how many visits each of the groups occurs, (groups,)."""
    visit = np.concatenate([[0], np.cumsum(times[:-1] - times[1:] > SESSION_GAP_MS)])
    width = int(visit[-1]) + 1
    return np.bincount(np.unique(group * width + visit) // width, minlength=groups)


def _log_ratio(prices: Floats, paid: Floats) -> Floats:
    """How far each price is from the usual one; NaN where either is unknown or zero."""
    known = np.sort(paid[paid > 0])
    if not len(known):
        return np.full(len(prices), np.nan, dtype=np.float32)
    usual = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2  # the median
    ratios = np.where(prices > 0, prices, np.nan) / usual
    return np.asarray(np.log(ratios), dtype=np.float32)


def _share(codes: Ints, seen: Ints, candidates: Ints) -> Floats:
    """The share of the seen items that have the candidate's code (0 for unknown)."""
    mine, wanted = np.sort(codes[seen]), codes[candidates]
    same = mine.searchsorted(wanted, "right") - mine.searchsorted(wanted, "left")
    return np.where(wanted < 0, 0.0, same / len(mine)).astype(np.float32)
