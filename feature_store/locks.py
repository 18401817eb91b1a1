"""One process at a time, on one machine: what several would do at once is done by the first."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits until nobody else holds a file or directory; a holder that is killed lets go.

    It saves work and spares surprises, and nothing more may depend on it: what cannot be opened,
    or lies where a file system has no such locks, keeps nobody waiting.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
