"""What a feature is now, from what Redis keeps: read by the functions that serving reads it by.

What serving knows a little before the stream has written it (`accepted`) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from feature_store.declaration import Declaration, Entity, Feature
from feature_store.derived import USER_DERIVED, Derived, item_derived, of_items, of_user
from feature_store.events import minor_units
from feature_store.pairs import PAIR, of_pairs
from feature_store.settings import Settings
from feature_store.stores.base import Store, StoreUnavailable
from feature_store.stores.redis import RedisStore
from feature_store.tiles import TileSet
from feature_store.vectors import Floats, Ints, ItemColumns, window_columns, window_values
from infra.stack.errors import StackError


@contextmanager
def redis(settings: Settings) -> Iterator[RedisStore]:
    """The store that serving asks first; raises `StackError` where it does not answer."""
    store = RedisStore.connect(settings)
    try:
        yield store
    except StoreUnavailable as error:
        raise StackError(f"{error}. `millrace up` starts the stack.") from error
    finally:
        store.close()


def windowed(store: Store, feature: Feature, key: str, now: int) -> Iterator[str]:
    """A line for each column of a declared feature."""
    tiles = store.read_user(key).tiles if feature.entity is Entity.USER else _tiles(store, key)
    yield from values(feature, tiles, now)


def values(feature: Feature, tiles: TileSet, now: int) -> Iterator[str]:
    """The same from the tiles of the entity."""
    for window in feature.windows:
        yield f"{feature.column(window)} = {feature.value(tiles, window, now):g}"


def derived(
    store: Store, declared: Declaration, column: Derived, key: str, item: str | None, now: int
) -> str:
    """The line of a derived column; `key` is a user, or an item where it is about items.

    Items are as the store describes them; the ranker knows them as its bundle does.
    """
    if column.about == "user":
        value = of_user(store.read_user(key), now)[USER_DERIVED.index(column.name)]
    elif column.about == "item":
        value = _of_item(store, declared, column, key, now)
    elif item:
        value = _of_pair(store, column, key, item, now)
    else:
        raise StackError(f"{column.name} is about a user and an item: say `--id USER --item ITEM`.")
    return f"{column.name} = {value:g}"


def _of_item(store: Store, declared: Declaration, column: Derived, key: str, now: int) -> float:
    windows = window_values(declared, Entity.ITEM, _tiles(store, key), now)
    names = window_columns(declared, Entity.ITEM)
    (row,) = of_items(declared, np.asarray([windows], np.float32), names)
    return float(row[item_derived(declared).index(column.name)])


def _of_pair(store: Store, column: Derived, user: str, item: str, now: int) -> float:
    recents = store.read_user(user).recents
    ids = [item, *dict.fromkeys(r.item_id for r in recents if r.item_id not in ("", item))]
    described = store.read_items(ids)
    said = [described.get(one, {}) for one in ids]
    columns = ItemColumns(
        windows=np.empty((len(ids), 0), np.float32),
        category=_codes(str(one.get("category") or "") for one in said),
        brand=_codes(str(one.get("brand") or "") for one in said),
        price_minor=_prices(one.get("price") for one in said),
    )
    index_of = {one: position for position, one in enumerate(ids)}
    (row,) = of_pairs(recents, columns, index_of, np.zeros(1, np.int32), now)
    return float(row[PAIR.index(column.name)])


def _tiles(store: Store, item: str) -> TileSet:
    return store.read_item_tiles([item]).get(item, TileSet())


def _codes(said: Iterable[str]) -> Ints:
    """Equal codes for what is equal, -1 for what is not said."""
    codes = {"": -1}
    return np.asarray([codes.setdefault(one, len(codes)) for one in said], np.int32)


def _prices(said: Iterable[Any]) -> Floats:
    return np.asarray([np.nan if one is None else minor_units(one) for one in said], np.float32)
