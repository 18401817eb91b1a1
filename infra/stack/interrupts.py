"""Ctrl-C, SIGTERM and a terminal that closes end a command in order, and none its clearing up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def treat_termination_as_interrupt() -> None:
    """Make the others raise `KeyboardInterrupt` too, so that one path clears up after all.

    Under `nohup` the terminal may close.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore these signals inside: a second Ctrl-C must not leave processes running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [signal.signal(number, signal.SIG_IGN) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
