"""Keeps items fresh in process, so that a request never fetches two hundred of them.

Everything is read once, in the background; then, every few seconds, only what changed, and slowly
round and round in case a change was missed. Window values fall with time even when nothing happens:
they are read again from the tiles at hand about once a minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Final

import numpy as np

from feature_store.declaration import Declaration, Entity
from feature_store.lookup import Doubles
from feature_store.stores.base import LARGEST, NO_TILES, StoreUnavailable
from feature_store.tiles import TileSet
from feature_store.vectors import ItemColumns, window_values
from models.bundle import Bundle
from serving.card import Card, described
from serving.catalogue import Catalogue
from serving.guard import Ladder
from serving.logs import LOGGER
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)

#: Items read at once: about a millisecond of the interpreter.
CHUNK: Final = 100
#: Writers stamp a change before they write it; looking back this far misses none.
OVERLAP_MS: Final = 3_000
#: What changed is read so often: an item that is often bought changes all the time.
CHANGES_S: Final = 5.0
#: How long one round over all items takes: of their windows, and of reading them from a store.
WINDOWS_ROUND_S: Final = 60.0
STORE_ROUND_S: Final = 600.0
#: A pause between chunks lets requests have the interpreter: at least this long, and so many times
#: as long as the chunk took. With a million items rounds get slower, not requests.
BREATH_S: Final = 0.005
BREATHS: Final = 3.0
#: Items of a round at once.
MOST: Final = 1_000


@dataclass(frozen=True)
class Live:
    """A bundle and the item columns of this moment: what one request uses, together."""

    bundle: Bundle
    columns: ItemColumns


class Items:
    """The cards and tiles of all items, and the columns of the bundle that serves."""

    def __init__(
        self, declaration: Declaration, catalogue: Catalogue, stores: Ladder, refresh_s: float,
        telemetry: Telemetry,
    ) -> None:  # fmt: skip
        self._declaration = declaration
        self._catalogue = catalogue
        self._stores = stores
        self._damaged = telemetry.damaged
        self._tiles: dict[str, TileSet] = {}
        self._active: dict[str, TileSet] = {}
        self._unread: dict[str, None] = {}
        self._windows_round = Round(self._active, refresh_s / WINDOWS_ROUND_S)
        self._store_round = Round(self._tiles, refresh_s / STORE_ROUND_S)
        self._since = _now_ms()
        self._turns, self._turns_a_look = count(), max(1, round(CHANGES_S / refresh_s))
        self._live: Live | None = None
        self.complete = False

    def adopt(self, bundle: Bundle) -> Live:
        """Columns for a bundle: its own as of the cut, then, in place, whatever is known by now."""
        self._catalogue.seed(bundle)
        self._live = live = Live(bundle, bundle.columns)
        self._fill(live, list(self._tiles))
        self._unread |= {item: None for item in bundle.item_ids if item not in self._tiles}
        return live

    def want(self, ids: Iterable[str]) -> None:
        """Asks for items that no bundle may know yet to be read."""
        self._unread |= {item: None for item in ids if item not in self._tiles}

    def turn(self) -> None:
        """One round: what has grown old, what nobody has read yet, what changed."""
        if self._live:
            self._fill(self._live, self._windows_round.next())
        started = _now_ms()
        self._read_all(list(self._unread))
        self.complete = self._live is not None
        self._catalogue.read_titles()
        if next(self._turns) % self._turns_a_look == 0:
            self._read_changed(started)
        self._read_all(self._store_round.next())

    def _read_changed(self, now: int) -> None:
        changed = self._stores.read(lambda store: store.changed_items(self._since))
        self._read_all(changed.value or [])
        if not changed.failed:
            self._since = now - OVERLAP_MS

    def _read_all(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), CHUNK):
            began = time.thread_time()
            self._read(ids[start : start + CHUNK])
            time.sleep(max(BREATH_S, BREATHS * (time.thread_time() - began)))

    def _read(self, ids: Sequence[str]) -> None:
        tiles = self._stores.read(lambda store: store.read_item_tiles(ids), known=bool).value
        records = self._stores.collect(ids, lambda store, missing: store.read_items(missing))
        if tiles is None or records.value is None:
            raise StoreUnavailable("no store answers for items")
        for item_id in ids:
            self._unread.pop(item_id, None)
            self._describe(item_id, records.value.get(item_id), certain=not records.failed)
            self._keep(item_id, tiles.get(item_id))
        if self._live:
            self._fill(self._live, ids)

    def _keep(self, item_id: str, tiles: TileSet | None) -> None:
        """Not of what nobody has described: anybody may make up ids, and memory has an end."""
        in_bundle = self._live is not None and item_id in self._live.bundle.index_of
        known = in_bundle or self._catalogue.get(item_id) is not None
        if known:
            self._tiles[item_id] = tiles or NO_TILES
        else:
            self._tiles.pop(item_id, None)
        if known and tiles:
            self._active[item_id] = tiles
        else:
            self._active.pop(item_id, None)

    def _describe(self, item_id: str, record: object, certain: bool) -> None:
        """An empty record says deleted; so does none where a store once described the item."""
        if isinstance(record, dict) and record:
            if said := described(item_id, record, self._damaged):
                self._catalogue.put(Card.told(item_id, said))
        elif record is not None:
            if known := self._catalogue.get(item_id):  # the bundle may not have heard of its end
                self._catalogue.put(replace(known, deleted=True, live=True))
        elif certain and (known := self._catalogue.told(item_id)):
            self._catalogue.put(replace(known, deleted=True))

    def _fill(self, live: Live, ids: Sequence[str]) -> None:
        now, index_of = _now_ms(), live.bundle.index_of
        known = [item_id for item_id in ids if item_id in index_of]
        idle = np.asarray([index_of[i] for i in known if i not in self._active], np.int64)
        # Only what is not zero yet is written: a page that is written to is no longer the file's.
        live.columns.windows[idle[live.columns.windows[idle].any(axis=1)]] = 0
        for item_id in known:
            if tiles := self._active.get(item_id):
                live.columns.windows[index_of[item_id]] = self._values(item_id, tiles, now)

    def _values(self, item_id: str, tiles: TileSet, now: int) -> Doubles | float:
        """The item's windows; zeros, and a warning, where a store keeps what nobody wrote."""
        try:
            values = window_values(self._declaration, Entity.ITEM, tiles, now)
            return np.clip(values, -LARGEST, LARGEST)  # no infinity in single precision
        except (TypeError, ValueError):
            self._damaged.labels("tiles").inc()
            log.warning("damaged tiles", extra={"fields": {"item": item_id}})
            self._active.pop(item_id, None)
            return 0.0


class Round:
    """Goes round the keys of a dictionary that changes, a share of them at a time."""

    def __init__(self, keys: dict[str, TileSet], share: float) -> None:
        self._keys = keys
        self._share = share
        self._left: Iterator[str] = iter(())

    def next(self) -> list[str]:
        """The next share; at the end, the rest."""
        size = 1 + min(MOST, int(len(self._keys) * self._share))
        batch = list(islice(self._left, size))
        if not batch:
            self._left = iter(list(self._keys))
            batch = list(islice(self._left, size))
        return batch


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
