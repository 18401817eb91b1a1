"""Two sets of tiles side by side: what a store holds, and what the recount says.

Joined as Arrow columns, so that millions of equal tiles are never Python objects at once; only what
differs becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from feature_store.tiles import LEVEL_OF_CODE, Tile, Version

#: Examples that a comparison keeps of what is in a store, and of what is not.
EXAMPLES: Final = 5
_KEYS: Final = ["entity", "entity_id", "level", "place"]
_CHUNK: Final = 20_000
TILES: Final = pa.schema(
    [
        *(("entity", pa.string()), ("entity_id", pa.string()), ("level", pa.string())),
        *(("place", pa.int64()), ("start", pa.int64()), ("applied", pa.int64())),
        *(("epoch", pa.int64()), ("generation", pa.int64()), ("body", pa.string())),
    ]
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One tile on which they do not agree; at least one side has it."""

    stored: Tile | None
    recounted: Tile | None

    @property
    def tile(self) -> Tile:
        """The recount's, or else the store's."""
        tile = self.recounted or self.stored
        assert tile is not None
        return tile

    def __str__(self) -> str:
        tile = self.tile
        where = f"{tile.entity} {tile.entity_id} {tile.level.code} {tile.start}"
        return f"{where}: {_said(self.stored)}, recount {_said(self.recounted)}"


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


def compare(
    store: str, stored: Iterable[Tile], recounted: Iterable[Tile], offsets: Mapping[str, int]
) -> Comparison:
    """Compares tile by tile: what was applied and the bytes of the body."""
    theirs, ours = columns(stored), columns(recounted)
    return summed(store, len(ours), differences(theirs, ours), offsets)


def summed(
    store: str, tiles: int, found: Iterable[Difference], offsets: Mapping[str, int]
) -> Comparison:
    """Counts differences by their kind, with some examples."""
    counts = {"missing": 0, "different": 0, "extra": 0}
    examples: dict[bool, list[str]] = {True: [], False: []}
    for one in found:
        counts[kind(one)] += 1
        shown = examples[one.stored is None]
        if len(shown) < EXAMPLES:
            shown.append(str(one))
    return Comparison(
        store, tiles, **counts, offsets=offsets, examples=(*examples[False], *examples[True])
    )


def kind(one: Difference) -> str:
    """What a store does with the tile: `missing`, `extra` or `different`."""
    if one.stored is None:
        return "missing"
    return "different" if one.recounted else "extra"


def columns(tiles: Iterable[Tile]) -> pa.Table:
    """Tiles as `TILES`."""
    coming = iter(tiles)
    chunks = iter(lambda: list(map(_row, islice(coming, _CHUNK))), [])
    parts = [pa.RecordBatch.from_pylist(chunk, schema=TILES) for chunk in chunks]
    return pa.Table.from_batches(parts, schema=TILES)


def differences(stored: pa.Table, recounted: pa.Table) -> Iterator[Difference]:
    """The tiles that are not the same; one into which nothing is applied is as good as none."""
    joined = stored.join(
        recounted, _KEYS, join_type="full outer", left_suffix="_stored", right_suffix="_recounted"
    )
    for batch in joined.filter(_differs(joined)).to_batches(max_chunksize=_CHUNK):
        for row in batch.to_pylist():
            yield Difference(_side(row, "_stored"), _side(row, "_recounted"))


def _differs(joined: pa.Table) -> pa.ChunkedArray:
    applied = [pc.fill_null(joined[f"applied_{side}"], 0) for side in ("stored", "recounted")]
    bodies = [pc.fill_null(joined[f"body_{side}"], "") for side in ("stored", "recounted")]
    starts = [pc.fill_null(joined[f"start_{side}"], -1) for side in ("stored", "recounted")]
    nothing = pc.and_(*(pc.equal(one, 0) for one in applied))
    unlike = pc.or_(pc.not_equal(*applied), pc.not_equal(*bodies))
    return pc.and_not(pc.or_(unlike, pc.not_equal(*starts)), nothing)


def _side(row: Mapping[str, Any], side: str) -> Tile | None:
    if row[f"applied{side}"] is None:
        return None
    start, epoch, applied, generation = (
        row[f"{name}{side}"] for name in ("start", "epoch", "applied", "generation")
    )
    version = Version.of_tile(start, epoch, applied, generation)
    level = LEVEL_OF_CODE[row["level"]]
    return Tile(row["entity"], row["entity_id"], level, version, row[f"body{side}"])


def _row(tile: Tile) -> dict[str, Any]:
    version = tile.version
    return {
        "entity": str(tile.entity),
        "entity_id": tile.entity_id,
        "level": tile.level.code,
        "place": tile.level.address(tile.start),
        "start": tile.start,
        "applied": version.applied,
        "epoch": version.epoch,
        "generation": version.generation,
        "body": tile.body,
    }


def _said(tile: Tile | None) -> str:
    return f"{tile.version.applied} {tile.body}" if tile else "not there"
