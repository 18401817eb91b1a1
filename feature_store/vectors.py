"""The ranker's columns: one order and one function, for training and for serving.

A vector is read as of a moment from what was known then: the user's tiles and last interactions,
the items' tiles and attributes, and the scores of the candidate sources. Serving passes live
state; training passes state folded from the log up to the moment of the impression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feature_store.declaration import Declaration, Entity
from feature_store.stores.base import Recent, UserState
from feature_store.tiles import DAY_MS, TileSet

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

#: A pause longer than this ends a session.
SESSION_GAP_MS = 30 * 60_000

USER_DERIVED = ("user_days_since_last", "user_recents", "user_session_events")
PAIR = (
    "pair_interactions",
    "pair_days_since_last",
    "pair_session_interactions",
    "pair_category_share",
    "pair_brand_share",
    "pair_price_log_ratio",
)


@dataclass(frozen=True)
class ItemColumns:
    """Attributes and window values of every item, in the order of the bundle's `item_ids`.

    `windows` is (items, item window columns) float32; `category` and `brand` are (items,) codes
    with -1 for unknown; `price_minor` is (items,) with NaN for unknown.
    """

    windows: Floats
    category: Ints
    brand: Ints
    price_minor: Floats


def columns(declaration: Declaration, sources: Sequence[str]) -> tuple[str, ...]:
    """The names of the ranker's columns, in order."""
    return (
        *window_columns(declaration, Entity.USER),
        *USER_DERIVED,
        *window_columns(declaration, Entity.ITEM),
        "item_price_minor",
        *PAIR,
        *(f"score_{source}" for source in sources),
    )


def window_columns(declaration: Declaration, entity: Entity) -> tuple[str, ...]:
    """The columns that an entity's windows fill."""
    return tuple(f.column(w) for f in declaration.of(entity) for w in f.windows)


def window_values(
    declaration: Declaration, entity: Entity, tiles: TileSet, now: int
) -> list[float]:
    """The values of `window_columns`, read from an entity's tiles as of `now` (ms)."""
    return [f.value(tiles, w, now) for f in declaration.of(entity) for w in f.windows]


def matrix(
    declaration: Declaration,
    user: UserState,
    items: ItemColumns,
    index_of: Mapping[str, int],
    candidates: Ints,
    scores: Floats,
    now: int,
) -> Floats:
    """One row per candidate, one column per name in `columns`; shape (candidates, columns).

    `candidates` are positions in the bundle's `item_ids`; `scores` is (candidates, sources), NaN
    where a source did not offer the item. `now` is in ms.
    """
    count = len(candidates)
    user_row = np.asarray(
        [*window_values(declaration, Entity.USER, user.tiles, now), *_user_derived(user, now)],
        dtype=np.float32,
    )
    pairs = _pairs(user.recents, items, index_of, candidates, now)
    return np.concatenate(
        [
            np.broadcast_to(user_row, (count, len(user_row))),
            items.windows[candidates],
            items.price_minor[candidates, None],
            pairs,
            scores,
        ],
        axis=1,
        dtype=np.float32,
    )


def session(recents: Sequence[Recent], now: int) -> Sequence[Recent]:
    """The newest interactions with no pause above `SESSION_GAP_MS` between them and `now`."""
    previous = now
    for position, recent in enumerate(recents):
        if previous - recent.event_time > SESSION_GAP_MS:
            return recents[:position]
        previous = recent.event_time
    return recents


def _user_derived(user: UserState, now: int) -> tuple[float, float, float]:
    last = user.last_event
    since = (now - last.event_time) / DAY_MS if last else np.nan
    return since, len(user.recents), len(session(user.recents, now))


def _pairs(
    recents: Sequence[Recent],
    items: ItemColumns,
    index_of: Mapping[str, int],
    candidates: Ints,
    now: int,
) -> Floats:
    """What the user's last interactions say about each candidate; columns as in `PAIR`."""
    out = np.zeros((len(candidates), len(PAIR)), dtype=np.float32)
    out[:, 1] = np.nan
    out[:, 5] = np.nan
    known = [(r, index_of[r.item_id]) for r in recents if r.item_id in index_of]
    if not known:
        return out
    seen = np.asarray([position for _, position in known], dtype=np.int32)
    times = np.asarray([recent.event_time for recent, _ in known], dtype=np.float64)
    in_session = len([r for r in session(recents, now) if r.item_id in index_of])

    same = candidates[:, None] == seen[None, :]
    out[:, 0] = same.sum(axis=1)
    newest = np.where(same, times, -np.inf).max(axis=1)
    out[:, 1] = np.where(np.isfinite(newest), (now - newest) / DAY_MS, np.nan)
    out[:, 2] = same[:, :in_session].sum(axis=1)
    out[:, 3] = _share(items.category, seen, candidates)
    out[:, 4] = _share(items.brand, seen, candidates)
    out[:, 5] = _log_ratio(items.price_minor[candidates], items.price_minor[seen])
    return out


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
