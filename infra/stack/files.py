"""Small files that several processes read while one of them writes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(file: Path, text: str) -> None:
    """Replace `file` so that a reader, or a crash, sees the old text or the new one, whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(file)


@contextmanager
def locked(file: Path) -> Iterator[int]:
    """Hold `file` as a lock; the system frees it when the holder dies, however it dies.

    Yields the descriptor: a child process that inherits it holds the lock too, until it ends.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()
