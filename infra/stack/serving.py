"""The serving API under uvicorn."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import ClassVar, Final

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


def together(workers: int, counts: Path) -> dict[str, str]:
    """What so many processes behind one port are told, besides, to count as one server.

    Their counts lie in the directory named, which begins empty.
    """
    # Several machines share a quota too: whoever has some says how many processes there are in all.
    told = {"MILLRACE_SERVING_WORKERS": os.environ.get("MILLRACE_SERVING_WORKERS", str(workers))}
    if workers > 1:
        shutil.rmtree(counts, ignore_errors=True)
        counts.mkdir(parents=True)
        told["PROMETHEUS_MULTIPROC_DIR"] = str(counts)
    return told


class Serving(Service):
    """It starts without waiting for any store: it degrades, says so, and recovers."""

    name: ClassVar[str] = "serving"
    ports_used: ClassVar[tuple[str, ...]] = ("serving",)
    stop_rank: ClassVar[int] = 1

    @property
    def link(self) -> str:
        """The storefront page; the API and its docs are below it."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> list[str]:
        """One process, unless `--workers` follows."""
        address = ["--host", LOOPBACK, "--port", str(self.port)]
        return [sys.executable, "-m", "uvicorn", *address, *EDGE]

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
        return {name: os.environ.get(name, value) for name, value in local.items()}

    def answers(self) -> bool:
        """The process says it lives."""
        return self.listens() and get_status(self.link + "/health/live", timeout_s=2) == 200
