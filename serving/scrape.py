"""The metrics of several processes behind one port, whichever of them is scraped.

`prometheus_client` then keeps each process's values in files of a directory. Counters go on when a
process ends and another takes its place; gauges say only what the living say.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector


def together(counts: Path) -> CollectorRegistry:
    """What all processes have counted in a directory, for one scrape."""
    for path in counts.glob("gauge_live*.db"):
        if not _lives(int(path.stem.rpartition("_")[2])):
            path.unlink(missing_ok=True)  # another process may do the same
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(counts))  # type: ignore[no-untyped-call]
    return registry


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):  # the latter: its number is somebody else's now
        return False
    return True
