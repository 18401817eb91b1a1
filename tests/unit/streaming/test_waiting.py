"""A store that is down is waited for, and Flink hears of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pandas as pd
import pytest
from pyflink.table.udf import FunctionContext

from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores.base import Record, StoreUnavailable, TrendingList
from feature_store.stores.memory import MemoryStore
from feature_store.trending import TRENDING
from streaming import sinks, trending
from tests.builders import NOON


class Fragile(MemoryStore):
    """A store that is down when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.is_down = False

    def write_records(self, records: Iterable[Record]) -> None:
        self._answer()
        super().write_records(records)

    def publish_trending(self, listed: TrendingList) -> None:
        self._answer()
        super().publish_trending(listed)

    def _answer(self) -> None:
        if self.is_down:
            raise StoreUnavailable("down")


class Count:
    """A counter that can be read."""

    def __init__(self) -> None:
        self.value = 0

    def inc(self, n: int = 1) -> None:
        self.value += n


class Metrics:
    """What a function registers."""

    def __init__(self) -> None:
        self.counters: dict[str, Count] = {}
        self.gauges: dict[str, Callable[[], int]] = {}

    def counter(self, name: str) -> Count:
        return self.counters.setdefault(name, Count())

    def gauge(self, name: str, obj: Callable[[], int]) -> None:
        self.gauges[name] = obj

    def read(self) -> tuple[int, int]:
        """What the tick says: whether the store is down, and how often it was waited for."""
        return self.gauges["millrace_store_down"](), self.counters["millrace_store_waits"].value


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Fragile:
    """What a `PatientStore` connects to."""
    fragile = Fragile()
    monkeypatch.setitem(sinks.STORES, "redis", lambda _: fragile)
    return fragile


def test_a_tick_says_that_the_store_is_down_and_the_next_one_publishes(
    store: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick, metrics = trending.PublishTrending(sinks.PatientStore("redis", Settings()), 2), Metrics()
    tick.open(FunctionContext(metrics, {}))
    assert metrics.read() == (0, 0)
    told = []
    for second, down in enumerate((False, False, True, True, False)):
        store.is_down = down
        monkeypatch.setattr(time, "time_ns", lambda now=NOON + second * 1000: now * 1_000_000)
        assert tick.eval(second) == second
        listed = [store.read_trending(window.name) for window in TRENDING]
        told.append((*metrics.read(), max(one.published_at - NOON for one in listed if one)))
    assert told == [(0, 0, 0), (0, 0, 0), (1, 1, 0), (1, 2, 0), (0, 2, 4000)]


def test_records_wait_until_the_store_has_them_and_the_waits_are_counted(
    store: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        store.is_down = len(pauses) < 8

    monkeypatch.setattr(time, "sleep", pause)
    patient, metrics = sinks.PatientStore("redis", Settings()), Metrics()
    writer = sinks.WriteRecords(patient, Entity.ITEM)
    writer.open(FunctionContext(metrics, {}))
    store.is_down = True
    columns = (["milk", "tea"], [NOON, NOON], [1, 2], ['{"title":"Milk"}', ""])
    assert writer.eval(*map(pd.Series, columns)).tolist() == [1, 1]
    assert {record.key for record in store.scan_records()} == {"milk", "tea"}
    assert metrics.counters["millrace_store_waits"].value == len(pauses) == 8
    assert pauses == sorted(pauses)
    assert pauses[-1] == sinks.LONGEST_PAUSE_S
    assert not metrics.gauges
