"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import orjson


def write_json(path: Path, said: Any) -> None:
    """Replaces `path` atomically, and durably: a manifest is the last thing a stage writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "wb") as file:
        file.write(orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(path)
    sync(path.parent)


def sync(directory: Path) -> None:
    """Makes the names in a directory durable: a new file is none before."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> Any:
    """The content, or None where there is no such file."""
    return orjson.loads(path.read_bytes()) if path.exists() else None
