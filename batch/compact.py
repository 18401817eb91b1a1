"""Compaction: the many small files of a day become one, and readers never meet half of it.

The new file is written aside and takes the place of the old ones when the manifest names it.
Whoever read the manifest before goes on with the old files until the next change.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from batch import parquet
from batch.files import sync
from batch.lake import Lake
from batch.manifest import File, Landed

#: A day with more files than this is rewritten: some nights' worth, and less than a read notices.
FILES: Final = 8
#: A file of this size gains nothing from a larger one.
LARGE: Final = 64 * 2**20
#: Rows of a group, and so about what is held in memory.
GROUP_ROWS: Final = 128 * 1024


def compact(lake: Lake, topic: str, files: int = FILES) -> int:
    """Rewrites the days with more than that many small files; returns how many files are gone."""
    landed = lake.landed(topic)
    days = [small for small in _small_by_day(landed).values() if len(small) > files]
    if not days:
        return 0
    new = [_merged(landed, small) for small in days]
    sync(landed.root)
    old = [file for small in days for file in small]
    lake.replace(topic, old, new)
    return len(old) - len(new)


def _small_by_day(landed: Landed) -> dict[str, list[File]]:
    found: dict[str, list[File]] = defaultdict(list)
    for file in landed.files:
        if file.bytes < LARGE:
            found[file.day].append(file)
    return found


def _merged(landed: Landed, small: Sequence[File]) -> File:
    """One file with the rows of several, in their order."""
    day = small[0].day
    name = hashlib.sha256("\n".join(file.path for file in small).encode()).hexdigest()[:12]
    path = landed.root / f"compact-{name}" / f"day={day}" / "part-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    paths = [landed.path(file) for file in small]
    schema = pa.unify_schemas([pq.read_schema(one).remove_metadata() for one in paths])
    with pq.ParquetWriter(path, schema) as writer:
        for rows in _groups(paths, schema):
            writer.write_table(rows)
    sync(path.parent)
    sync(path.parent.parent)
    names = tuple(sorted({name for file in small for name in file.batches}))
    return parquet.describe(path, landed.root, day, names)


def _groups(paths: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of the files in groups; columns that an older file lacks are null."""
    waiting: list[pa.Table] = []
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(GROUP_ROWS):
            waiting.append(_as(schema, pa.Table.from_batches([batch])))
            if sum(map(len, waiting)) >= GROUP_ROWS:
                yield pa.concat_tables(waiting)
                waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _as(schema: pa.Schema, rows: pa.Table) -> pa.Table:
    columns = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
