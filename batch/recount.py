"""The recount: every tile again from the landed log, by the rules of who owns which tile.

The stream owns the tiles that an event may still come in time for; the batch layer owns those that
ended H before the cut, and there it counts late events too.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from batch import compiler
from batch.bases import base_day, bases
from batch.files import read_json, write_json
from batch.lake import Lake
from feature_store.declaration import Declaration
from feature_store.settings import Settings
from feature_store.tiles import LEVEL_OF_CODE, Tile, Version
from feature_store.topics import INTERACTIONS, PROFILES


@dataclass(frozen=True, slots=True)
class Recount:
    """A finished recount; `offsets` (partition -> next offset) is the cut it speaks of.

    `cut_ms` is the append time of the newest message, `late` how many events the stream left out.
    """

    directory: str
    tiles: int
    late: int
    offsets: Mapping[str, int]
    cut_ms: int
    horizon_ms: int
    fingerprint: str

    @classmethod
    def latest(cls, lake: Lake) -> Recount | None:
        """The one that the manifest names."""
        said = read_json(lake.root / "tiles" / "manifest.json")
        return cls(**said) if said else None

    @property
    def owned_until(self) -> int:
        """The batch layer owns the tiles that end by then (ms)."""
        return self.cut_ms - self.horizon_ms


def recount(
    spark: SparkSession, settings: Settings, declaration: Declaration, lake: Lake
) -> Recount:
    """Counts all tiles and writes them under `<lake>/tiles`, the manifest last."""
    topic, horizon = settings.topic(INTERACTIONS.name), settings.horizon_ms
    offsets = lake.landed(topic).offsets
    lake.read(spark, topic, INTERACTIONS.name).createOrReplaceTempView("landed")
    profiles = lake.read(spark, settings.topic(PROFILES.name), PROFILES.name)
    profiles.where("deleted").createOrReplaceTempView("erased")
    cut = spark.sql("SELECT COALESCE(MAX(append_time), 0L) FROM landed").collect()[0][0]
    events = spark.sql(compiler.counted("landed", "erased", horizon)).persist()
    events.createOrReplaceTempView("counted")
    root, before = lake.root / "tiles", Recount.latest(lake)
    directory = "b" if before and before.directory == "a" else "a"
    try:
        counted = spark.sql(all_tiles(declaration, "counted", cut, horizon))
        counted.write.mode("overwrite").parquet(str(root / directory))
        late = events.where("late").count()
    finally:
        events.unpersist()
    tiles = _rows(root / directory)
    done = Recount(directory, tiles, late, offsets, cut, horizon, declaration.fingerprint)
    write_json(root / "manifest.json", asdict(done))
    if before:
        shutil.rmtree(root / before.directory, ignore_errors=True)
    return done


def all_tiles(declaration: Declaration, events: str, cut_ms: int, horizon_ms: int) -> str:
    """SQL of every tile and every base, from a view of `compiler.counted`."""
    tiles = compiler.owned_tiles(declaration, events, cut_ms - horizon_ms)
    before = bases(declaration, events, base_day(cut_ms, horizon_ms))
    return "\nUNION ALL\n".join(part for part in (tiles, before) if part)


def recounted_tiles(lake: Lake) -> Iterator[Tile]:
    """The tiles of the latest recount, bases too."""
    latest = Recount.latest(lake)
    for file in recounted_files(lake, latest) if latest else ():
        for row in pq.read_table(file).to_pylist():
            yield _tile(row)


def recounted_files(lake: Lake, recount: Recount) -> list[Path]:
    """Its Parquet: entity, entity_id, level (code), start (ms), applied, body."""
    return sorted((lake.root / "tiles" / recount.directory).glob("*.parquet"))


def _tile(row: Mapping[str, Any]) -> Tile:
    version = Version.of_tile(row["start"], 0, row["applied"])
    return Tile(row["entity"], row["entity_id"], LEVEL_OF_CODE[row["level"]], version, row["body"])


def _rows(directory: Path) -> int:
    return sum(pq.read_metadata(file).num_rows for file in directory.glob("*.parquet"))
