"""The serving API under uvicorn."""

from __future__ import annotations

import sys
from typing import ClassVar

from infra.stack.http import get_status
from infra.stack.ports import LOOPBACK
from infra.stack.service import Service


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
        """One process."""
        server = ["--host", LOOPBACK, "--port", str(self.port), "--no-access-log"]
        return [
            sys.executable,
            "-m",
            "uvicorn",
            *server,
            "--factory",
            "serving.app:create_app",
        ]

    def answers(self) -> bool:
        """The process says it lives."""
        return self.listens() and get_status(self.link + "/health/live", timeout_s=2) == 200
