"""Ctrl-C and SIGTERM: both end a command in order, and neither disturbs the clearing up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def treat_termination_as_interrupt() -> None:
    """Make SIGTERM raise `KeyboardInterrupt`, so that one path clears up after both."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, interrupt)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore both signals inside: a second Ctrl-C must not leave processes running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [signal.signal(number, signal.SIG_IGN) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
