"""The stores that the contract is held against: the two real ones get a namespace per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.memory import MemoryStore
from feature_store.stores.redis import RedisStore

REAL: dict[str, Callable[[Settings], Store]] = {
    "redis": RedisStore.connect,
    "cassandra": CassandraStore.connect,
}


@pytest.fixture(params=["memory", *REAL])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryStore()
        return
    store = REAL[request.param](request.getfixturevalue("settings"))
    yield store
    store.close()
