"""Who of several processes of one machine may: one at a time, or whoever only wants it to stay."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(path: Path, wait: bool = True, in_doubt: bool = True) -> Iterator[bool]:
    """Holds a file or directory that nobody else holds; a holder that is killed lets go.

    Waits for another holder or, without `wait`, yields False while there is one. What cannot be
    opened, or lies where a file system has no such locks, is held by everybody, or by nobody:
    `in_doubt`. As a rule it saves work and spares surprises, and nothing more may depend on it.
    """
    with contextlib.ExitStack() as held:
        try:
            _hold(held, path, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            mine = True
        except BlockingIOError:
            mine = False
        except OSError:
            mine = in_doubt
        yield mine


@contextlib.contextmanager
def beside(path: Path) -> Iterator[None]:
    """Holds it with others who do, where that can be, and nobody holds it `alone` meanwhile."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            _hold(held, path, fcntl.LOCK_SH)
        yield


def _hold(held: contextlib.ExitStack, path: Path, how: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    held.callback(os.close, descriptor)
    fcntl.flock(descriptor, how)
