"""What the lake holds, as plain values: for `millrace lake`, notebooks and the night's summary."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from batch.lake import Lake
from batch.manifest import File, Landed
from feature_store.settings import Settings
from feature_store.topics import TOPICS


def inventory(settings: Settings, lake: Lake, verify: bool = False) -> dict[str, Any]:
    """Every topic by its name on the broker; with `verify`, all bytes are read."""
    names = [settings.topic(topic.name) for topic in TOPICS]
    return {
        "lake": str(lake.root),
        "topics": {name: _topic(lake, name, verify) for name in names},
    }


def _topic(lake: Lake, name: str, verify: bool) -> dict[str, Any]:
    landed = lake.landed(name)
    damaged = lake.verify(name) if verify else [f for f in landed.files if _resized(landed, f)]
    return {
        "rows": landed.rows,
        "invalid": landed.invalid,
        "absent": landed.absent,
        "batches": len(landed.batches),
        "files": len(landed.files),
        "bytes": sum(file.bytes for file in landed.files),
        "offsets": landed.offsets,
        "gaps": [asdict(gap) for gap in landed.gaps],
        "days": _days(landed),
        "damaged": [str(landed.path(file)) for file in damaged],
    }


def _days(landed: Landed) -> dict[str, dict[str, int]]:
    days: dict[str, list[File]] = {}
    for file in landed.files:
        days.setdefault(file.day, []).append(file)
    return {
        day: {
            "rows": sum(file.rows for file in files),
            "invalid": sum(file.invalid for file in files),
            "files": len(files),
            "bytes": sum(file.bytes for file in files),
            "batches": len({name for file in files for name in file.batches}),
        }
        for day, files in sorted(days.items())
    }


def _resized(landed: Landed, file: File) -> bool:
    """Missing or of another size: what can be seen without reading."""
    path = landed.path(file)
    return not path.exists() or path.stat().st_size != file.bytes
