"""What a topic's manifest says: the ranges of offsets that were landed, and where their rows are.

The two are apart, because compaction moves rows between files and never changes what was landed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from batch.files import read_json, write_json

FORMAT: Final = 2
NAME: Final = "manifest.json"
Offsets = Mapping[str, int]


class LakeError(Exception):
    """The lake cannot be used as it is; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One landed range; `start` and `until` are partition -> offset, until exclusive."""

    name: str
    topic_id: str
    start: Offsets
    until: Offsets
    rows: int
    invalid: int

    @property
    def absent(self) -> int:
        """Offsets of the range without a message: a transaction's marker, say."""
        return sum(self.until.values()) - sum(self.start.values()) - self.rows


@dataclass(frozen=True, slots=True)
class File:
    """Rows of one day (UTC, `2026-03-10`), from the batches named; `path` is under the topic."""

    path: str
    day: str
    rows: int
    invalid: int
    bytes: int
    sha256: str
    batches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets of a partition that Kafka deleted before they were landed; `until` exclusive."""

    partition: str
    start: int
    until: int


@dataclass(frozen=True)
class Landed:
    """What was landed of one topic. `replaced` are files that only an older reader still reads."""

    root: Path
    batches: tuple[Batch, ...] = field(default=())
    files: tuple[File, ...] = field(default=())
    replaced: tuple[str, ...] = field(default=())

    @classmethod
    def read(cls, root: Path) -> Landed:
        """What the manifest in a topic's directory says; raises `LakeError` for an old one."""
        said = read_json(root / NAME)
        if said is None:
            return cls(root)
        if said.get("format") != FORMAT:
            raise LakeError(
                f"{root / NAME} was written by another version of Millrace: set MILLRACE_LAKE "
                "to an empty directory, and the next night lands Kafka's log anew."
            )
        return cls(
            root,
            tuple(Batch(**batch) for batch in said["batches"]),
            tuple(File(**{**file, "batches": tuple(file["batches"])}) for file in said["files"]),
            tuple(said["replaced"]),
        )

    def write(self) -> None:
        """Makes this what counts, at once and durably."""
        said: dict[str, Any] = {"format": FORMAT, "batches": [asdict(b) for b in self.batches]}
        said["files"] = [asdict(file) for file in self.files]
        write_json(self.root / NAME, {**said, "replaced": list(self.replaced)})

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
    def gaps(self) -> list[Gap]:
        """What Kafka deleted before it could be landed."""
        return list(self._gaps())

    @property
    def rows(self) -> int:
        """Messages landed."""
        return sum(batch.rows for batch in self.batches)

    @property
    def invalid(self) -> int:
        """Messages landed that their contract refused."""
        return sum(batch.invalid for batch in self.batches)

    @property
    def absent(self) -> int:
        """Offsets landed that held no message."""
        return sum(batch.absent for batch in self.batches)

    def since(self, day: str) -> list[File]:
        """The files of a day (`2026-03-10`) and of later ones."""
        return [file for file in self.files if file.day >= day]

    def of_batches(self, names: Collection[str]) -> list[File]:
        """The files that hold rows of these batches, and perhaps of others."""
        return [file for file in self.files if not set(names).isdisjoint(file.batches)]

    def path(self, file: File) -> Path:
        """Where a file is."""
        return self.root / file.path

    def _gaps(self) -> Iterator[Gap]:
        reached: dict[tuple[str, str], int] = {}
        for batch in self.batches:
            for partition, start in batch.start.items():
                before = reached.get((batch.topic_id, partition), 0)
                if start > before:
                    yield Gap(partition, before, start)
                reached[batch.topic_id, partition] = batch.until[partition]
