"""Work that several threads want at once is done by one of them, and the others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """The work under way in this process, by its key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[T]] = {}

    def run(self, key: str, work: Callable[[], T], patience_s: float) -> tuple[T, bool]:
        """The result, and whether this caller did the work.

        Who finds it under way waits for at most `patience_s`, and does it after all if that was
        not enough or if the other failed.
        """
        with self._lock:
            other = self._under_way.get(key)
            mine: Future[T] = Future()
            if other is None:
                self._under_way[key] = mine
        if other is None:
            return self._lead(key, mine, work), True
        try:
            return other.result(patience_s), False
        except (FutureTimeout, Abandoned):
            return work(), True

    def _lead(self, key: str, mine: Future[T], work: Callable[[], T]) -> T:
        try:
            result = work()
        except BaseException:
            mine.set_exception(Abandoned())
            raise
        finally:
            with self._lock:
                del self._under_way[key]
        mine.set_result(result)
        return result


class Abandoned(Exception):
    """Whoever did the work failed at it."""
