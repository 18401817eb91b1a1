"""Reconciliation: what the stores hold beside the recount, and the repair of what the batch owns.

Tiles that ended H before the cut belong to the batch layer: those that differ are written again, so
late events and whatever went wrong in the stream are put right. Younger ones belong to the stream
and are only reported: it may be ahead of the cut, or behind it. Writing goes through the guard of
versions, so it may be stopped anywhere and done again, while the stream goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch.bases import base_day
from batch.differences import (
    TILES,
    Comparison,
    Difference,
    columns,
    differences,
    kind,
    summed,
)
from batch.files import write_json
from batch.lake import Lake
from batch.recount import Recount, recounted_files
from feature_store.events import MAX_FUTURE_MS
from feature_store.settings import Settings
from feature_store.stores.base import Store, StoreUnavailable
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import BASE, LEVELS, Level, Tile, Total, Version, encode_body
from feature_store.topics import INTERACTIONS

STORES: Final = (RedisStore, CassandraStore)
#: Tiles of one round trip.
BATCH: Final = 1000


@dataclass(slots=True)
class Drift:
    """How far the speed layer was off in one feature at one level."""

    tiles: int = 0
    by: int = 0


@dataclass(slots=True)
class Reconciled:
    """What was found in one store and done about it. Counts are of tiles.

    `drift` is of the owned ones, by `<entity>.<feature>.<level>`: how many tiles had another value,
    and the sum of the differences (of sketches, of their sizes). `spared` are owned ones that count
    more than was landed, where the lake lacks what Kafka deleted: they stay. `young` and `ahead`
    are what the stream owns: how many differ, and in how many it has applied more than was landed.
    """

    store: str
    owned: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    repaired: int = 0
    spared: int = 0
    bases: int = 0
    young: int = 0
    ahead: int = 0
    unavailable: str = ""
    drift: dict[str, Drift] = field(default_factory=dict)

    @property
    def drifted(self) -> int:
        """Owned tiles that were wrong."""
        return self.missing + self.different + self.extra

    def __str__(self) -> str:
        if self.unavailable:
            return f"{self.store} NOT repaired: {self.unavailable}"
        spared = f", {self.spared} left" if self.spared else ""
        put_right = f"{self.drifted} of {self.owned} tiles put right"
        return f"{self.store}: {put_right}, {self.bases} bases{spared}"


def reconcile(settings: Settings, lake: Lake, fingerprint: str) -> list[Reconciled]:
    """Compares every store with the latest recount, repairs it, and says so in `reconcile.json`.

    A store that does not answer is named in `unavailable` and left for the next night. Raises
    `LookupError` when there is no recount of the declaration with that fingerprint.
    """
    latest = _latest(lake)
    if latest.fingerprint != fingerprint:
        raise LookupError("The recount is of another declaration: run `millrace nightly` first.")
    done = [_one(settings, lake, latest, store) for store in STORES]
    said = {**asdict(latest), "stores": {one.store: asdict(one) for one in done}}
    write_json(lake.root / "reconcile.json", said)
    return done


def repair(settings: Settings, lake: Lake, latest: Recount, store: Store) -> Reconciled:
    """One store: what differs in the tiles that the batch layer owns becomes what was counted."""
    stored, recounted = _sides(lake, latest, store)
    done = Reconciled(store.name, owned=_owned_rows(recounted, latest))
    # What Kafka deleted before it was landed may have been folded, and be known to a store alone.
    whole = not lake.landed(settings.topic(INTERACTIONS.name)).gaps
    wrong = _repairs(differences(stored, recounted), latest, done, whole)
    for batch in iter(lambda: list(islice(wrong, BATCH)), []):
        store.write_tiles(replaced(one, settings.epoch) for one in batch)
        done.repaired += len(batch)
    return done


def compare_store(settings: Settings, store: Store) -> Comparison:
    """A store beside the latest recount, at the recount's offsets.

    Raises `LookupError` when there is no recount yet.
    """
    lake = Lake(settings.lake)
    latest = _latest(lake)
    stored, recounted = _sides(lake, latest, store)
    return summed(store.name, len(recounted), differences(stored, recounted), latest.offsets)


def replaced(one: Difference, epoch: int) -> Tile:
    """The tile to write: with the version of its events, or one that beats what is stored.

    A tile that should not be there becomes one of no events.
    """
    tile = one.recounted or replace(one.tile, body=encode_body({}))
    applied = one.recounted.version.applied if one.recounted else 0
    if one.stored is None:
        return replace(tile, version=Version.of_tile(tile.start, epoch, applied))
    found = one.stored.version
    version = Version.of_tile(tile.start, max(epoch, found.epoch), applied, found.generation)
    # Cassandra knows a base by its events alone, not by the day that it ends.
    if (version.epoch, version.sequence) <= (found.epoch, found.sequence):
        version = Version.of_tile(tile.start, found.epoch + 1, applied, found.generation)
    return replace(tile, version=version)


def _one(
    settings: Settings, lake: Lake, latest: Recount, kept: type[RedisStore | CassandraStore]
) -> Reconciled:
    try:
        store = kept.connect(settings)
        try:
            return repair(settings, lake, latest, store)
        finally:
            store.close()
    except StoreUnavailable as error:
        return Reconciled(kept.name, unavailable=str(error))


def _repairs(
    found: Iterable[Difference], latest: Recount, done: Reconciled, whole: bool
) -> Iterator[Difference]:
    """Those to be written; everything is counted in `done`."""
    newest_base = base_day(latest.cut_ms, latest.horizon_ms)
    for one in found:
        tile = one.tile
        if tile.level is BASE:
            if one.stored and one.stored.start > newest_base:
                continue  # written by a night that has seen more
            done.bases += 1
        elif tile.start + tile.level.ms <= latest.owned_until:
            if not whole and _applied(one.stored) > _applied(one.recounted):
                done.spared += 1
                continue
            setattr(done, kind(one), getattr(done, kind(one)) + 1)
            _add_drift(done.drift, one)
        else:
            done.young += 1
            done.ahead += _applied(one.stored) > _applied(one.recounted)
            continue
        yield one


def _add_drift(drift: dict[str, Drift], one: Difference) -> None:
    stored, recounted = (_totals(side) for side in (one.stored, one.recounted))
    for feature in sorted(stored.keys() | recounted.keys()):
        was, counted = stored.get(feature, 0), recounted.get(feature, 0)
        if was != counted:
            here = drift.setdefault(f"{one.tile.entity}.{feature}.{one.tile.level.code}", Drift())
            here.tiles += 1
            here.by += abs(_size(was) - _size(counted))


def _totals(tile: Tile | None) -> Mapping[str, Total]:
    totals: Mapping[str, Total] = orjson.loads(tile.body) if tile else {}
    return totals


def _size(total: Total) -> int:
    return len(total) if isinstance(total, list) else total


def _applied(tile: Tile | None) -> int:
    return tile.version.applied if tile else 0


def _latest(lake: Lake) -> Recount:
    latest = Recount.latest(lake)
    if latest is None:
        raise LookupError(f"No recount under {lake.root}: run `millrace nightly` first.")
    return latest


def _sides(lake: Lake, latest: Recount, store: Store) -> tuple[pa.Table, pa.Table]:
    """What the store holds and what was counted, as far as the store is sure to keep it."""
    now = time.time_ns() // 1_000_000
    oldest = {level: _oldest(level, now, store.keeps_all) for level in LEVELS}
    stored = columns(tile for tile in store.scan_tiles() if tile.start > oldest[tile.level])
    rows = pa.concat_tables(map(pq.read_table, recounted_files(lake, latest)))
    return stored, pa.concat_tables([_of_level(rows, *one) for one in oldest.items()])


def _oldest(level: Level, now: int, keeps_all: bool) -> int:
    """Tiles that start after this are kept: by expiry, or by a ring with room for fast clocks."""
    if keeps_all or level is BASE:
        return now - level.kept_ms
    return level.start(now + MAX_FUTURE_MS) - level.slots * level.ms


def _of_level(rows: pa.Table, level: Level, oldest: int) -> pa.Table:
    """The recounted rows of one level that start after `oldest`, in the columns of `TILES`."""
    mine = pc.and_(pc.equal(rows["level"], level.code), pc.greater(rows["start"], oldest))
    kept = rows.filter(mine)
    zeros = pa.array([0] * len(kept), pa.int64())
    place = kept["start"] if level.slots > 1 else zeros
    named = {"place": place, "epoch": zeros, "generation": zeros}
    found = [named[name] if name in named else kept[name] for name in TILES.names]
    return pa.table([one.cast(kind) for one, kind in zip(found, TILES.types, strict=True)], TILES)


def _owned_rows(recounted: pa.Table, latest: Recount) -> int:
    """How many of the recounted tiles the batch layer owns, bases left aside."""
    owned = 0
    for level in LEVELS:
        if level is not BASE:
            mine = pc.equal(recounted["level"], level.code)
            ended = pc.less_equal(recounted["start"], latest.owned_until - level.ms)
            owned += pc.sum(pc.and_(mine, ended)).as_py() or 0
    return owned
