"""Where one stack keeps everything it writes, and where the code and the jars lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
DEFAULT_ROOT: Final = REPOSITORY / ".millrace"


def jars_directory() -> Path:
    """The jars of every service: a cache shared by all homes (`MILLRACE_JARS` moves it)."""
    return Path(os.environ.get("MILLRACE_JARS") or REPOSITORY / ".jars").resolve()


@dataclass(frozen=True, slots=True)
class Home:
    """The directory of one stack; two homes are two stacks that know nothing of each other."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """The home that `MILLRACE_HOME` names, or `.millrace` in the repository."""
        chosen = os.environ.get("MILLRACE_HOME") or DEFAULT_ROOT
        return cls(Path(chosen).expanduser().resolve())

    @property
    def is_default(self) -> bool:
        """Whether this is the home of somebody who chose none."""
        return self.root == DEFAULT_ROOT

    @property
    def logs(self) -> Path:
        """One log file for each service."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Process ids, locks and the list of wanted Flink jobs."""
        return self.root / "run"

    @property
    def checkpoints(self) -> Path:
        """Flink's checkpoints, one directory for each job title."""
        return self.root / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Flink's savepoints, one directory for each job title."""
        return self.root / "savepoints"

    @property
    def lake(self) -> Path:
        """The master dataset (Parquet)."""
        return self.root / "lake"

    @property
    def bundles(self) -> Path:
        """Local copies of published bundles."""
        return self.root / "bundles"

    @property
    def declarations(self) -> Path:
        """Feature declarations as they were when a job was submitted."""
        return self.root / "declarations"

    def data(self, service: str) -> Path:
        """What a service keeps between runs."""
        return self.root / "data" / service

    def conf(self, service: str) -> Path:
        """The configuration written for a service."""
        return self.root / "conf" / service

    def log(self, service: str) -> Path:
        """The log file of a service."""
        return self.logs / f"{service}.log"

    def create(self) -> None:
        """Make the directories that every service expects."""
        for directory in (self.logs, self.run, self.checkpoints, self.savepoints):
            directory.mkdir(parents=True, exist_ok=True)
