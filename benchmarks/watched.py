"""What processes that work starts take: memory at the most, processor time in all."""

from __future__ import annotations

import threading
from typing import Final

import psutil

EVERY_S: Final = 1.0


class Watched:
    """Looks every second at the processes begun by this one since; a context manager.

    `peak_gib` is the largest sum of their PSS (pages that several share count once); `processor_s`
    adds up what each had used when it was last seen.
    """

    def __init__(self) -> None:
        self.peak_gib = 0.0
        self._used: dict[int, float] = {}
        self._before: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def processor_s(self) -> float:
        """Seconds of processor time."""
        return sum(self._used.values())

    def __enter__(self) -> Watched:
        self._before = {one.pid for one in psutil.Process().children(recursive=True)}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(EVERY_S):
            found = (self._one(one) for one in psutil.Process().children(recursive=True))
            self.peak_gib = max(self.peak_gib, sum(found) / 2**30)

    def _one(self, process: psutil.Process) -> int:
        if process.pid in self._before:
            return 0
        try:
            times = process.cpu_times()
            self._used[process.pid] = times.user + times.system
            return int(process.memory_full_info().pss)
        except psutil.Error:  # it has ended in between
            return 0
