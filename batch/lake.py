"""The master dataset: what was landed of every topic, append-only Parquet under `MILLRACE_LAKE`.

`log/<topic>/manifest.json` names the files that count, each with the rows of one day; what no
manifest names is a leftover of a killed run, ignored and later swept away. A reader holds on to
the files its manifest named: one that was replaced stays until the next change after that.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from batch import parquet
from batch.decoding import SCHEMAS
from batch.manifest import Batch, File, LakeError, Landed

REPAIR = "`millrace lake repair` lands their days again, if Kafka still has them"


class LakeBusy(LakeError):
    """Another nightly writes to this lake."""


class LakeDamaged(LakeError):
    """A file is not as it was written, or not what the contract says."""


@dataclass(frozen=True, slots=True)
class Lake:
    """The directory `MILLRACE_LAKE`, seen through its manifests; topics are named as in Kafka."""

    root: Path

    def landed(self, topic: str) -> Landed:
        """What is there of a topic."""
        return Landed.read(self.root / "log" / topic)

    def add(self, topic: str, batch: Batch, files: Iterable[File]) -> None:
        """Makes a written batch count: the last step of landing."""
        now = self.landed(topic)
        replace(now, batches=(*now.batches, batch), files=(*now.files, *files)).write()

    def replace(self, topic: str, old: Collection[File], new: Iterable[File]) -> None:
        """Puts files in the place of others with the same rows, at once."""
        now = self.landed(topic)
        kept = tuple(file for file in now.files if file not in old)
        replace(now, files=(*kept, *new), replaced=tuple(file.path for file in old)).write()
        for path in now.replaced:
            (now.root / path).unlink(missing_ok=True)

    def sweep(self, topic: str) -> None:
        """Removes what no manifest names: the leftovers of killed runs."""
        now = self.landed(topic)
        named = {Path(path).parts[0] for path in now.replaced}
        named |= {Path(file.path).parts[0] for file in now.files}
        for path in now.root.glob("*/"):
            if path.name not in named:
                shutil.rmtree(path)

    def files(self, topic: str, contract: str, since: str = "") -> list[Path]:
        """The files that hold a day (`2026-03-10`) and later ones, each fit to be read.

        Raises `LakeDamaged`, which names each file that is not.
        """
        landed = self.landed(topic)
        wanted = landed.since(since)
        faults = {
            file: parquet.fault(landed.path(file), file, SCHEMAS[contract]) for file in wanted
        }
        complain({landed.path(file): found for file, found in faults.items() if found})
        return [landed.path(file) for file in wanted]

    def read(self, spark: SparkSession, topic: str, contract: str, since: str = "") -> DataFrame:
        """The landed rows of a topic from a day on, typed by the contract of that name.

        What an older contract did not have is null. Raises `LakeDamaged`.
        """
        schema = from_arrow_schema(SCHEMAS[contract])
        files = self.files(topic, contract, since)
        if not files:
            return spark.createDataFrame([], schema)
        return spark.read.schema(schema).parquet(*map(str, files))

    def table(self, topic: str, contract: str) -> pa.Table:
        """The same, in memory, for topics that describe (items, profiles)."""
        schema, files = SCHEMAS[contract], self.files(topic, contract)
        parts = [pq.read_table(file, schema=schema, partitioning=None) for file in files]
        return pa.concat_tables([schema.empty_table(), *parts])

    def verify(self, topic: str) -> list[File]:
        """The files whose bytes are no longer those that were written; reads all of them."""
        landed = self.landed(topic)
        return [
            file
            for file in landed.files
            if not landed.path(file).exists() or parquet.damaged(landed.path(file), file)
        ]

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


def complain(faults: dict[Path, str]) -> None:
    """Raises `LakeDamaged` when there is a fault."""
    if faults:
        named = "; ".join(f"{path} {found}" for path, found in sorted(faults.items()))
        raise LakeDamaged(f"{len(faults)} files of the lake cannot be read: {named}. {REPAIR}.")
