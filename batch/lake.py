"""The master dataset: what was landed of every topic, append-only Parquet under `MILLRACE_LAKE`.

`log/<topic>/manifest.json` lists the batches that count; a directory that no manifest names is a
leftover of a killed run, ignored and later overwritten.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from batch.decoding import SCHEMAS
from batch.files import read_json, write_json

Offsets = Mapping[str, int]


class LakeBusy(Exception):
    """Another nightly writes to this lake."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One landed offset range; `start` and `until` are partition -> offset, until exclusive."""

    directory: str
    topic_id: str
    start: Offsets
    until: Offsets
    rows: int
    invalid: int


@dataclass(frozen=True)
class Landed:
    """What was landed of one topic."""

    root: Path
    batches: tuple[Batch, ...] = field(default=())

    def next(self, topic_id: str) -> dict[str, int]:
        """Partition -> next offset to land of this incarnation of the topic."""
        ends: dict[str, int] = {}
        for batch in self.batches:
            if batch.topic_id == topic_id:
                ends.update(batch.until)
        return ends

    @property
    def offsets(self) -> dict[str, int]:
        """Partition -> next offset, of the newest incarnation."""
        return self.next(self.batches[-1].topic_id) if self.batches else {}

    @property
    def rows(self) -> int:
        """Messages landed."""
        return sum(batch.rows for batch in self.batches)

    @property
    def invalid(self) -> int:
        """Messages landed that their contract refused."""
        return sum(batch.invalid for batch in self.batches)

    @property
    def directories(self) -> list[str]:
        """The directories that count."""
        return [str(self.root / batch.directory) for batch in self.batches]


@dataclass(frozen=True, slots=True)
class Lake:
    """The directory `MILLRACE_LAKE`, seen through its manifests; topics are named as in Kafka."""

    root: Path

    def landed(self, topic: str) -> Landed:
        """What is there of a topic."""
        root = self.root / "log" / topic
        said = read_json(root / "manifest.json") or {"batches": []}
        return Landed(root, tuple(Batch(**batch) for batch in said["batches"]))

    def add(self, topic: str, batch: Batch) -> None:
        """Makes a written batch count: the last step of landing."""
        before = self.landed(topic)
        batches = [asdict(known) for known in (*before.batches, batch)]
        write_json(before.root / "manifest.json", {"topic": topic, "batches": batches})

    def read(self, spark: SparkSession, topic: str, contract: str) -> DataFrame:
        """All landed rows of a topic, typed by the contract of that name."""
        schema, directories = from_arrow_schema(SCHEMAS[contract]), self.landed(topic).directories
        if not directories:
            return spark.createDataFrame([], schema)
        return spark.read.schema(schema).parquet(*directories)

    def table(self, topic: str, contract: str) -> pa.Table:
        """The same, in memory, for topics that describe (items, profiles)."""
        schema, directories = SCHEMAS[contract], self.landed(topic).directories
        files = [file for path in directories for file in sorted(Path(path).glob("*.parquet"))]
        parts = [pq.read_table(file, schema=schema) for file in files]
        return pa.concat_tables([schema.empty_table(), *parts])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second nightly out; the system releases the lock of a killed one."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LakeBusy(
                    f"Another nightly writes to {self.root}: wait for it, or set MILLRACE_LAKE."
                ) from error
            yield
