"""The serving API under uvicorn."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from infra.stack.errors import StackError
from infra.stack.http import get_status
from infra.stack.ports import LOOPBACK
from infra.stack.service import Service

#: The app behind its own edge: tests and benchmarks start it so too. A worker that is silent for
#: 5 s, uvicorn's own limit, may be starting on a busy machine, and to kill it helps nobody.
EDGE: Final = (
    "--no-access-log", "--http", "serving.wire:BoundedProtocol", "--ws", "none",
    "--no-server-header", "--timeout-worker-healthcheck", "30", "--factory",
    "serving.app:create_app",
)  # fmt: skip
#: How many processes there are in all, those of other machines that share a quota too.
WORKERS: Final = "MILLRACE_SERVING_WORKERS"
#: How many of them a stack starts.
PROCESSES: Final = "MILLRACE_SERVING_PROCESSES"


def as_one(workers: int, counts: Path) -> dict[str, str]:
    """What so many processes behind one port are told, besides, to count as one server.

    Their counts lie in the directory named.
    """
    told = {WORKERS: os.environ.get(WORKERS, str(workers))}
    return told | ({"PROMETHEUS_MULTIPROC_DIR": str(counts)} if workers > 1 else {})


def emptied(counts: Path) -> Path:
    """A directory for the counts of a start: what an earlier one counted is gone."""
    shutil.rmtree(counts, ignore_errors=True)
    counts.mkdir(parents=True)
    return counts


@dataclass(frozen=True)
class Serving(Service):
    """It starts without waiting for any store: it degrades, says so, and recovers."""

    name: ClassVar[str] = "serving"
    ports_used: ClassVar[tuple[str, ...]] = ("serving",)
    stop_rank: ClassVar[int] = 1

    #: Processes that share the port; None: as many as the caller's environment says, or one.
    workers: int | None = None

    @property
    def processes(self) -> int:
        """How many there are to be; raises `StackError`."""
        if self.workers is not None:
            return self.workers
        said = os.environ.get(PROCESSES, "1")
        if not said.isdecimal() or int(said) < 1:
            raise StackError(f"{PROCESSES} is {said!r}: say how many processes, 1 or more.")
        return int(said)

    @property
    def counts(self) -> Path:
        """Where several processes keep what they count."""
        return self.home.run / f"serving-{self.port}-counts"

    def prepare(self) -> None:
        """Several processes start to count from zero; raises `StackError`."""
        if self.processes > 1:
            emptied(self.counts)

    @property
    def link(self) -> str:
        """The storefront page; the API and its docs are below it."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> list[str]:
        """It says how many processes: else `WEB_CONCURRENCY` would, and nobody would count them."""
        address = ["--host", LOOPBACK, "--port", str(self.port)]
        workers = ["--workers", str(self.processes)]
        return [sys.executable, "-m", "uvicorn", *address, *EDGE, *workers]

    def extra_environment(self) -> dict[str, str]:
        """Open to this machine and to nobody else, unless the caller's environment says more."""
        local = {
            "MILLRACE_SERVING_ACCESS": "local",
            "MILLRACE_SERVING_KEYS": str(self.home.root / "keys.json"),
            "MILLRACE_SERVING_AUDIT": str(self.home.root / "audit.jsonl"),
            "MILLRACE_SERVING_LINKS": json.dumps(
                {
                    "Flink": self.environment["MILLRACE_FLINK"],
                    "MLflow": self.environment["MILLRACE_MLFLOW"],
                }
            ),
        }
        chosen = {name: os.environ.get(name, value) for name, value in local.items()}
        return chosen | as_one(self.processes, self.counts)

    def answers(self) -> bool:
        """The process says it lives."""
        return self.listens() and get_status(self.link + "/health/live", timeout_s=2) == 200
