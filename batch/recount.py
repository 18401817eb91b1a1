"""The recount: every tile again from the landed log, and the proof that the stores agree.

Equality is claimed at one cut: the offsets that were landed. Drain the stream up to them first.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from batch import compiler
from batch.bases import bases
from batch.files import read_json, write_json
from batch.lake import Lake
from feature_store.declaration import Declaration
from feature_store.reference import ring
from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.tiles import LEVEL_OF_CODE, Level, Tile, Version
from feature_store.topics import INTERACTIONS, PROFILES

#: Examples of each kind that a comparison keeps.
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Recount:
    """A finished recount; `offsets` (partition -> next offset) is the cut it speaks of."""

    directory: str
    tiles: int
    offsets: Mapping[str, int]
    horizon_ms: int
    fingerprint: str

    @classmethod
    def latest(cls, lake: Lake) -> Recount | None:
        """The one that the manifest names."""
        said = read_json(lake.root / "tiles" / "manifest.json")
        return cls(**said) if said else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A store beside the recount; `missing` and `extra` are the store's."""

    store: str
    tiles: int
    missing: int
    different: int
    extra: int
    offsets: Mapping[str, int]
    examples: tuple[str, ...] = field(default=())

    @property
    def equal(self) -> bool:
        """Every tile the same, to the byte, and not one more."""
        return self.tiles > 0 and not (self.missing or self.different or self.extra)


def recount(
    spark: SparkSession, settings: Settings, declaration: Declaration, lake: Lake
) -> Recount:
    """Counts all tiles and writes them under `<lake>/tiles`, the manifest last."""
    topic = settings.topic(INTERACTIONS.name)
    offsets = lake.landed(topic).offsets
    lake.read(spark, topic, INTERACTIONS.name).createOrReplaceTempView("landed")
    profiles = lake.read(spark, settings.topic(PROFILES.name), PROFILES.name)
    profiles.where("deleted").createOrReplaceTempView("erased")
    events = spark.sql(compiler.applied("landed", settings.horizon_ms))
    events.persist().createOrReplaceTempView("applied")
    root = lake.root / "tiles"
    before = Recount.latest(lake)
    directory = "b" if before and before.directory == "a" else "a"
    try:
        counted = spark.sql(compiler.tiles(declaration, "applied"))
        if before_all := bases(spark, declaration, settings, "landed", "erased"):
            counted = counted.unionAll(before_all)
        counted.write.mode("overwrite").parquet(str(root / directory))
    finally:
        events.unpersist()
    done = Recount(
        directory, _rows(root / directory), offsets, settings.horizon_ms, declaration.fingerprint
    )
    write_json(root / "manifest.json", asdict(done))
    if before:
        shutil.rmtree(root / before.directory, ignore_errors=True)
    return done


def recounted_tiles(lake: Lake, level: Level | None = None) -> Iterator[Tile]:
    """The tiles of the latest recount, or those of one level."""
    latest = Recount.latest(lake)
    wanted = [("level", "=", level.code)] if level else None
    for file in _files(lake.root / "tiles" / latest.directory) if latest else ():
        for row in pq.read_table(file, filters=wanted).to_pylist():
            yield _tile(row)


def compare(
    store: str, stored: Iterable[Tile], recounted: Iterable[Tile], offsets: Mapping[str, int]
) -> Comparison:
    """Compares tile by tile: what was applied and the bytes of the body."""
    ours = {_address(tile): (tile.version.applied, tile.body) for tile in recounted}
    tiles = len(ours)
    examples: list[str] = []
    different = extra = 0
    for tile in stored:
        expected, found = ours.pop(_address(tile), None), (tile.version.applied, tile.body)
        if expected == found:
            continue
        if expected is None:
            extra += 1
        else:
            different += 1
        if len(examples) < EXAMPLES:
            examples.append(f"{' '.join(map(str, _address(tile)))}: {found}, recount {expected}")
    examples += [f"{' '.join(map(str, a))}: not in the store" for a in list(ours)[:EXAMPLES]]
    return Comparison(store, tiles, len(ours), different, extra, offsets, tuple(examples))


def compare_store(settings: Settings, store: Store, keeps_all: bool) -> Comparison:
    """A store beside the latest recount, at the recount's offsets.

    `keeps_all` is False for a store that keeps a ring (Redis): of every slot the newest tile.
    Raises `LookupError` when there is no recount yet.
    """
    lake = Lake(settings.lake)
    latest = Recount.latest(lake)
    if latest is None:
        raise LookupError(f"No recount under {lake.root}: run `millrace nightly` first.")
    recounted: Iterable[Tile] = recounted_tiles(lake)
    if not keeps_all:
        recounted = ring(recounted).values()
    stored, recounted = (_still_kept(tiles) for tiles in (store.scan_tiles(), recounted))
    return compare(store.name, stored, recounted, latest.offsets)


def _still_kept(tiles: Iterable[Tile]) -> Iterator[Tile]:
    """Those that no store has let expire."""
    now = time.time_ns() // 1_000_000
    return (tile for tile in tiles if tile.start > now - tile.level.kept_ms)


def _address(tile: Tile) -> tuple[str, str, str, int]:
    return str(tile.entity), tile.entity_id, tile.level.code, tile.start


def _tile(row: Mapping[str, Any]) -> Tile:
    version = Version.of_tile(row["start"], 0, row["applied"])
    return Tile(row["entity"], row["entity_id"], LEVEL_OF_CODE[row["level"]], version, row["body"])


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.parquet"))


def _rows(directory: Path) -> int:
    return sum(pq.read_metadata(file).num_rows for file in _files(directory))
