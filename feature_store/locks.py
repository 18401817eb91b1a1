"""One process at a time, on one machine: what several would do at once is done by the first."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(path: Path, wait: bool = True) -> Iterator[bool]:
    """Holds a file or directory that nobody else holds; a holder that is killed lets go.

    Waits for another holder or, without `wait`, yields False while there is one. It saves work and
    spares surprises, and nothing more may depend on it: what cannot be opened, or lies where a file
    system has no such locks, is held by everybody.
    """
    mine = True
    with contextlib.ExitStack() as held:
        try:
            descriptor = os.open(path, os.O_RDONLY)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            mine = False
        except OSError:
            pass
        yield mine
