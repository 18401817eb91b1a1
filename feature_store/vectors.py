"""The ranker's columns: one order and one function, for training and for serving.

A vector is read as of a moment from what was known then: the user's tiles and last interactions,
the items' tiles and attributes, and the scores of the candidate sources. Serving passes live
state; training passes state folded from the log up to the moment of the impression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from feature_store.declaration import Declaration, Entity
from feature_store.derived import (
    USER,
    USER_DERIVED,
    Derived,
    item_derived,
    of_items,
    of_user,
    rates,
)
from feature_store.kernels import Address, address
from feature_store.lookup import gather
from feature_store.pairs import PAIR, PAIRS, of_pairs
from feature_store.stores.base import UserState
from feature_store.tiles import TileSet

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


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

    @cached_property
    def lie(self) -> tuple[Address, Address, Address]:
        """Where category, brand and price are, for kernels."""
        return (
            address(self.category, np.int32),
            address(self.brand, np.int32),
            address(self.price_minor, np.float32),
        )


def columns(declaration: Declaration, sources: Sequence[str]) -> tuple[str, ...]:
    """The names of the ranker's columns, in order."""
    return (
        *window_columns(declaration, Entity.USER),
        *USER_DERIVED,
        *window_columns(declaration, Entity.ITEM),
        *item_derived(declaration),
        "item_price_minor",
        *PAIR,
        *(f"score_{source}" for source in sources),
    )


def derived_columns(declaration: Declaration) -> tuple[Derived, ...]:
    """Those of the columns that no window fills and no model scores, and what they are made of."""
    return (*USER, *rates(declaration), *PAIRS)


def window_columns(declaration: Declaration, entity: Entity) -> tuple[str, ...]:
    """The columns that an entity's windows fill."""
    return declaration.readings[entity].names


def window_values(
    declaration: Declaration, entity: Entity, tiles: TileSet, now: int
) -> list[float]:
    """The values of `window_columns`, read from an entity's tiles as of `now` (ms)."""
    reading = declaration.readings[entity]
    covered = [tuple(tiles.covered(window, now)) for window in reading.windows]
    return [f.merged(covered[n], reading.windows[n], now) for f, n in reading.columns]


def matrix(
    declaration: Declaration,
    user: UserState,
    items: ItemColumns,
    index_of: Mapping[str, int],
    candidates: Ints,
    scores: Floats,
    now: int,
    room: int = 0,
) -> Floats:
    """One row per candidate, one column per name in `columns`; shape (candidates, columns).

    `candidates` are positions in the bundle's `item_ids`; `scores` is (candidates, sources), NaN
    where a source did not offer the item. `now` is in ms. `room` columns behind are left to fill.
    """
    names = window_columns(declaration, Entity.ITEM)
    user_row = [*window_values(declaration, Entity.USER, user.tiles, now), *of_user(user, now)]
    derived = len(item_derived(declaration))
    widths = (len(user_row), len(names), derived, 1, len(PAIR), scores.shape[1])
    ends = [*accumulate(widths)]
    table = np.empty((len(candidates), ends[-1] + room), np.float32)
    of_user_, windows, of_items_, price, pairs, offered = (
        table[:, end - width : end] for width, end in zip(widths, ends, strict=True)
    )
    of_user_[:] = user_row
    gather(items.windows, candidates, windows)
    of_items_[:] = of_items(declaration, windows, names)
    price[:, 0] = items.price_minor[candidates]
    of_pairs(user.recents, items, index_of, candidates, now, pairs)
    offered[:] = scores
    return table
