"""What a user's last interactions say about each candidate: affinity, habit, price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from feature_store.sessions import session, visits
from feature_store.stores.base import Recent
from feature_store.tiles import DAY_MS

if TYPE_CHECKING:
    from feature_store.vectors import ItemColumns

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

PAIR: Final = (
    "pair_interactions",
    "pair_days_since_last",
    "pair_days_between_visits",
    "pair_due",
    "pair_session_interactions",
    "pair_category_share",
    "pair_brand_share",
    "pair_price_log_ratio",
)


def of_pairs(
    recents: Sequence[Recent],
    items: ItemColumns,
    index_of: Mapping[str, int],
    candidates: Ints,
    now: int,
) -> Floats:
    """The columns of `PAIR`, (candidates, columns); NaN where there is nothing to tell from."""
    known = [recent for recent in recents if recent.item_id in index_of]
    if not known:
        return _strangers(len(candidates))
    seen = np.asarray([index_of[recent.item_id] for recent in known], np.int32)
    same = candidates[:, None] == seen[None, :]
    in_session = sum(recent.item_id in index_of for recent in session(recents, now))
    since, between = _habit(same, known, now)
    values = (
        same.sum(axis=1),
        since,
        between,
        since / between,
        same[:, :in_session].sum(axis=1),
        _share(items.category, seen, candidates),
        _share(items.brand, seen, candidates),
        _log_ratio(items.price_minor[candidates], items.price_minor[seen]),
    )
    return np.asarray(np.stack(values, axis=1), np.float32)


def _strangers(count: int) -> Floats:
    """For somebody who has done nothing yet: no interactions, no habit, no usual price."""
    telling = ("days", "due", "ratio")
    row = [np.nan if any(word in name for word in telling) else 0.0 for name in PAIR]
    return np.tile(np.asarray(row, np.float32), (count, 1))


def _habit(
    same: npt.NDArray[np.bool_], known: Sequence[Recent], now: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Days since the last interaction with each candidate, and between its visits on the mean."""
    # Recents are newest first, so a candidate's first one is its newest.
    times = np.asarray([recent.event_time for recent in known], np.float64)
    newest = times[same.argmax(axis=1)]
    oldest = times[len(times) - 1 - same[:, ::-1].argmax(axis=1)]
    numbers = visits(known)
    met: set[tuple[str, int]] = set()
    first = []
    for recent, number in zip(known, numbers, strict=True):
        first.append((recent.item_id, number) not in met)
        met.add((recent.item_id, number))
    pauses = (same & np.asarray(first)).sum(axis=1) - 1
    since = np.where(same.any(axis=1), (now - newest) / DAY_MS, np.nan)
    between = np.full(len(same), np.nan)
    again = pauses > 0
    between[again] = (newest[again] - oldest[again]) / DAY_MS / pauses[again]
    return since, between


def _log_ratio(prices: Floats, paid: Floats) -> Floats:
    """How far each price is from the usual one; NaN where either is unknown or zero."""
    known = paid[paid > 0]
    if not len(known):
        return np.full(len(prices), np.nan, dtype=np.float32)
    ratios = np.where(prices > 0, prices, np.nan) / np.median(known)
    return np.asarray(np.log(ratios), dtype=np.float32)


def _share(codes: Ints, seen: Ints, candidates: Ints) -> Floats:
    """The share of the seen items that have the candidate's code (0 for unknown)."""
    mine = codes[seen]
    shares = (codes[candidates][:, None] == mine[None, :]).mean(axis=1)
    return np.where(codes[candidates] < 0, 0.0, shares).astype(np.float32)
