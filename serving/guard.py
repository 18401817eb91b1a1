"""Calls to stores: within a deadline, never again for a moment after a failure, in rungs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from feature_store.stores.base import Store, StoreUnavailable
from serving.breaker import Breaker
from serving.logs import LOGGER
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)

T = TypeVar("T")
V = TypeVar("V")

#: Threads that wait for one store; more callers than this wait for a thread, within the deadline.
WORKERS: Final = 16
#: Callers that may wait for one store at a time (a bulkhead): FastAPI has 40 threads, and those
#: left over answer what needs no store. The next caller is sent on to the next rung at once.
CALLERS: Final = 24


class Guard:
    """One store behind a circuit breaker.

    With `deadline_s` a call runs in the guard's own threads and is given up in time, whatever
    the driver does, and at most `CALLERS` wait; without it the store's own timeouts hold.
    """

    def __init__(
        self,
        name: str,
        telemetry: Telemetry,
        store: Store | None = None,
        deadline_s: float | None = None,
        pause_s: float = 1.0,
        use: str = "requests",
    ) -> None:
        """`use` tells two guards of one store apart in the metrics."""
        self.name = name
        self.store = store
        self.breaker = Breaker(pause_s)
        self._telemetry = telemetry
        self._deadline_s = deadline_s
        self._workers = None if deadline_s is None else ThreadPoolExecutor(WORKERS, f"guard-{name}")
        self._places = threading.BoundedSemaphore(CALLERS)
        self._seconds = telemetry.dependency_seconds.labels(name)
        telemetry.watch(telemetry.dependency_out.labels(name, use), lambda: float(self.out))

    def call(self, read: Callable[[Store], T]) -> T:
        """What `read` returns; raises `StoreUnavailable` at once while the store is left alone."""
        store = self.store
        if store is None or not self.breaker.admits():
            raise StoreUnavailable(f"{self.name}: left alone after a failure")
        started = time.perf_counter()
        try:
            value = self._run(store, read)
        except BulkheadFull:
            raise
        except StoreUnavailable as error:
            self.breaker.failed()
            self._report(str(error), trace=False)
            raise
        except Exception as error:  # an answer that cannot be read is no better than none
            self.breaker.unreadable()
            self._telemetry.damaged.labels("answer").inc()
            self._report(repr(error), trace=True)
            raise StoreUnavailable(f"{self.name}: {error!r}") from error
        finally:
            self._seconds.observe(time.perf_counter() - started)
        self.breaker.succeeded()
        return value

    def close(self) -> None:
        """Lets the waiting threads and the store's connections go."""
        if self._workers:
            self._workers.shutdown(wait=False, cancel_futures=True)
        if self.store:
            self.store.close()

    @property
    def out(self) -> bool:
        """Whether it is left alone, or not there yet."""
        return self.store is None or self.breaker.open

    def _report(self, reason: str, trace: bool) -> None:
        self._telemetry.failures.labels(self.name).inc()
        fields = {"store": self.name, "reason": reason}
        log.warning("store failed", exc_info=trace, extra={"fields": fields})

    def _run(self, store: Store, read: Callable[[Store], T]) -> T:
        if self._workers is None:
            return read(store)
        with self._place():
            future = self._workers.submit(read, store)
            try:
                return future.result(self._deadline_s)
            except FutureTimeout:
                future.cancel()
                said = f"{self.name}: no answer in {self._deadline_s} s"
                raise StoreUnavailable(said) from None

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            self._telemetry.bulkhead_full.labels(self.name).inc()
            raise BulkheadFull(f"{self.name}: {CALLERS} requests wait for it already")
        try:
            yield
        finally:
            self._places.release()


class BulkheadFull(StoreUnavailable):
    """Too many wait for the store already; says nothing about its health."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What was read, from which store ("" for none), and which stores failed on the way."""

    value: T | None
    store: str
    failed: tuple[str, ...]


class Ladder:
    """Stores in order of preference: the next is asked when one fails or does not know."""

    def __init__(self, *rungs: Guard) -> None:
        self._rungs = rungs

    @property
    def first(self) -> Guard:
        """The store that is asked first."""
        return self._rungs[0]

    @property
    def out(self) -> dict[str, bool]:
        """Each store by name, and whether it is out."""
        return {rung.name: rung.out for rung in self._rungs}

    def read(
        self, read: Callable[[Store], T], known: Callable[[T], bool] = lambda _: True
    ) -> Reading[T]:
        """Never raises `StoreUnavailable`; with nothing known, the last answer there was."""
        answers, failed = self.ask(read, known)
        source = next(reversed(answers), "")
        return Reading(answers.get(source), source, failed)

    def ask(
        self, read: Callable[[Store], T], enough: Callable[[T], bool]
    ) -> tuple[dict[str, T], tuple[str, ...]]:
        """What the stores said, by name, up to the first that said enough; and which failed."""
        answers: dict[str, T] = {}
        failed: list[str] = []
        for rung in self._rungs:
            try:
                answers[rung.name] = rung.call(read)
            except StoreUnavailable:
                failed.append(rung.name)
                continue
            if enough(answers[rung.name]):
                break
        return answers, tuple(failed)

    def collect(
        self, ids: Sequence[str], read: Callable[[Store, Sequence[str]], dict[str, V]]
    ) -> Reading[dict[str, V]]:
        """Values by id; the next store is asked for those that the better ones do not know.

        The value is None when no store answered.
        """
        found: dict[str, V] = {}
        missing = ids
        sources: list[str] = []
        failed: list[str] = []
        for rung in self._rungs:
            try:
                found |= rung.call(lambda store: read(store, missing))  # noqa: B023 (called now)
                sources.append(rung.name)
            except StoreUnavailable:
                failed.append(rung.name)
            missing = [item_id for item_id in ids if item_id not in found]
            if not missing:
                break
        return Reading(found if sources else None, "+".join(sources), tuple(failed))

    def close(self) -> None:
        """Lets go of the stores and the threads that wait for them."""
        for rung in self._rungs:
            rung.close()
