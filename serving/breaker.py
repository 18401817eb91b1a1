"""The circuit breaker: a dependency that failed is left alone for a moment, and heals by itself."""

from __future__ import annotations

import threading
import time
from typing import Final

#: One answer that cannot be read is a damaged row; this many in a row are a damaged store.
UNREADABLE_IN_A_ROW: Final = 5


class Breaker:
    """Closed, or open until a probe succeeds: one caller a pause is let through to try."""

    def __init__(self, pause_s: float) -> None:
        """`pause_s`: how long a dependency that failed is left alone."""
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._retry_at: float | None = None
        self._unreadable = 0

    @property
    def open(self) -> bool:
        """Whether callers are turned away."""
        return self._retry_at is not None

    def admits(self) -> bool:
        """Whether this caller may try; while open, the first after each pause is the probe."""
        if self._retry_at is None:
            return True
        with self._lock:
            now = time.monotonic()
            if self._retry_at is None:
                return True
            if now < self._retry_at:
                return False
            self._retry_at = now + self._pause_s
            return True

    def succeeded(self) -> None:
        """Closes: the dependency answers."""
        self._retry_at = None
        self._unreadable = 0

    def failed(self) -> None:
        """Opens: the dependency is out."""
        self._retry_at = time.monotonic() + self._pause_s

    def unreadable(self) -> None:
        """Opens when nothing readable came for a while; one bad row costs nobody else anything."""
        self._unreadable += 1
        if self._unreadable >= UNREADABLE_IN_A_ROW or self.open:
            self.failed()
