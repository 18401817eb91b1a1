"""Parquet files of the lake: what their footers say, and whether they are as they were written."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch.manifest import File


def describe(path: Path, root: Path, day: str, batches: tuple[str, ...]) -> File:
    """The manifest's entry of a file that was just written; makes it durable."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    rows, invalid = _counts(path)
    size = path.stat().st_size
    return File(str(path.relative_to(root)), day, rows, invalid, size, digest, batches)


def fault(path: Path, file: File, wanted: pa.Schema) -> str | None:
    """What is wrong with a file by its size and footer; None when it can be read as `wanted`.

    Columns that the file lacks are no fault: they are read as nulls.
    """
    if not path.exists():
        return "is missing"
    if path.stat().st_size != file.bytes:
        return f"has {path.stat().st_size} bytes and was written with {file.bytes}"
    try:
        found = _schema(path, file.sha256)
    except (pa.ArrowException, OSError) as error:
        return f"is no Parquet file any more ({error})"
    for column in wanted:
        place = found.get_field_index(column.name)
        if place >= 0 and found.field(place).type != column.type:
            return (
                f"has {column.name} as {found.field(place).type}, the contract says {column.type} "
                "(another type needs another column: docs/contracts.md, Compatibility)"
            )
    return None


def damaged(path: Path, file: File) -> bool:
    """Whether the bytes are no longer those that were written; reads all of them."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() != file.sha256


@lru_cache(maxsize=100_000)
def _schema(path: Path, _sha256: str) -> pa.Schema:
    """A footer is read once for each content of a file."""
    return pq.read_schema(path)


def _counts(path: Path) -> tuple[int, int]:
    """Rows, and rows with a reason, by the statistics in the footer."""
    footer = pq.read_metadata(path)
    column = [footer.schema.column(n).path for n in range(footer.num_columns)].index("reason")
    groups = (footer.row_group(n).column(column) for n in range(footer.num_row_groups))
    valid = sum(group.statistics.null_count for group in groups)
    return footer.num_rows, footer.num_rows - valid
