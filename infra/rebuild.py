"""Refills Redis from Cassandra, or from the master dataset, while the stream goes on writing.

Every write is guarded by its version: what the stream has written since is newer and stays, and
doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from batch.lake import Lake
from batch.recount import recounted_tiles
from batch.restore import engagement, recents, records
from feature_store.declaration import Entity
from feature_store.events import MAX_FUTURE_MS
from feature_store.settings import Settings
from feature_store.stores.base import Recent, Record, Store, TrendingList, TrendingTile
from feature_store.tiles import Level, Tile
from feature_store.trending import POPULAR, TRENDING, fold

T = TypeVar("T")
#: What one round trip carries.
BATCH: Final = 1000
#: Told the name of a part, and how much of it is written.
Tell = Callable[[str, int], None]


@dataclass(frozen=True)
class Parts:
    """Everything that a store holds; read as it is written, and records twice."""

    records: Callable[[], Iterable[Record]]
    tiles: Iterable[Tile]
    recents: Iterable[tuple[str, Recent]]
    trending_tiles: Iterable[TrendingTile] = ()
    trending: Iterable[TrendingList] = ()


def from_store(store: Store, now: int) -> Parts:
    """What a store holds `now` (ms)."""
    names = [*(window.name for window in TRENDING), POPULAR]
    lists = (store.read_trending(name) for name in names)
    return Parts(
        records=store.scan_records,
        tiles=store.scan_tiles(),
        recents=store.scan_recents(),
        trending_tiles=_trending_tiles(store, now),
        trending=[one for one in lists if one],
    )


def from_lake(settings: Settings, now: int) -> Parts:
    """What the landed log and its latest recount say `now` (ms).

    Lists are left out: the stream makes those of what trends from the tiles, within a minute, and
    the nightly that of what sells.
    """
    lake = Lake(settings.lake)
    starts = {window.level: _starts(window.level, now) for window in TRENDING}
    oldest = min(kept[0] for kept in starts.values())
    return Parts(
        records=partial(records, settings, lake),
        tiles=(
            replace(tile, version=replace(tile.version, epoch=settings.epoch))
            for tile in recounted_tiles(lake)
        ),
        recents=recents(settings, lake),
        trending_tiles=(
            tile
            for tile in fold(engagement(settings, lake, oldest), settings.epoch)
            if tile.version.moment in starts[tile.level]
        ),
    )


def rebuild(into: Store, parts: Parts, tell: Tell) -> None:
    """Writes the parts in an order that lets answers go on from the other store.

    Erasures come first, because they forget what else there is of a user; profiles last, because
    whoever asks takes a store that knows one for a store that knows the user, and asks no other.
    """
    others = (record for record in parts.records() if not _is_profile(record))
    _write("records", into.write_records, others, tell)
    _write("tiles", into.write_tiles, parts.tiles, tell)
    _write("recents", into.write_recents, parts.recents, tell)
    _write("trending tiles", into.write_trending_tiles, parts.trending_tiles, tell)
    _write("profiles", into.write_records, filter(_is_profile, parts.records()), tell)
    for listed in parts.trending:
        into.publish_trending(listed)


def is_empty(store: Store) -> bool:
    """Whether there is nothing to refill another store from."""
    return next(store.scan_tiles(), None) is None and next(store.scan_records(), None) is None


def _is_profile(record: Record) -> bool:
    return record.kind is Entity.USER and not record.deleted


def _write(name: str, write: Callable[[Iterable[T]], None], rows: Iterable[T], tell: Tell) -> None:
    written = 0
    tell(name, written)
    for batch in _batches(rows, BATCH):
        write(batch)
        written += len(batch)
        tell(name, written)


def _batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch


def _trending_tiles(store: Store, now: int) -> Iterator[TrendingTile]:
    for level in {window.level for window in TRENDING}:
        for starts in _batches(_starts(level, now), 10):
            yield from store.read_trending_tiles(level, starts)


def _starts(level: Level, now: int) -> range:
    """The starts of the tiles that a ring of the level holds, those of fast clocks included."""
    newest = level.start(now + MAX_FUTURE_MS)
    return range(newest - (level.slots - 1) * level.ms, newest + 1, level.ms)
