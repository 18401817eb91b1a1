"""The service that watches the others; what it does is in `watch.py`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import ClassVar

from infra.stack.home import Home
from infra.stack.service import Service


def heartbeat(home: Home) -> Path:
    """The file the supervisor touches after each round."""
    return home.run / "supervisor.heartbeat"


class Supervisor(Service):
    """`millrace supervise` as a process of the stack."""

    name: ClassVar[str] = "supervisor"
    stop_rank: ClassVar[int] = 0

    def prepare(self) -> None:
        """Forget the heartbeat of an earlier run."""
        heartbeat(self.home).unlink(missing_ok=True)

    def command(self) -> list[str]:
        """The command a person could type."""
        return [sys.executable, "-m", "infra.cli", "supervise"]

    def answers(self) -> bool:
        """It finished a round a moment ago."""
        try:
            return time.time() - heartbeat(self.home).stat().st_mtime < 10
        except FileNotFoundError:
            return False
