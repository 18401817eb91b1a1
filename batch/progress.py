"""Plain progress lines of a long job, and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Prints one line for each stage: `[nightly] 3/9 recount … 4.2 s, 207135 tiles`."""

    def __init__(self, name: str, stages: int) -> None:
        self.seconds: dict[str, float] = {}
        self._name, self._stages = name, stages

    @contextmanager
    def stage(self, what: str) -> Iterator[list[str]]:
        """Times a stage; what is appended to the list it yields is printed with it."""
        number, started, said = len(self.seconds) + 1, time.monotonic(), list[str]()
        print(f"[{self._name}] {number}/{self._stages} {what} …", flush=True)
        yield said
        self.seconds[what] = round(time.monotonic() - started, 1)
        result = ", ".join([f"{self.seconds[what]} s", *said])
        print(f"[{self._name}] {number}/{self._stages} {what} … {result}", flush=True)
