"""Where results go: writes completed inside the call, and dead letters.

A write returns only when the store has it, so Flink's checkpoint, which waits for the call, makes
the sink at-least-once; absolute, versioned values make the effect exact. A store that is down is
waited for, with back-pressure and without a restart.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import pandas as pd
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.udf import ScalarFunction, udf

from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores.base import Recent, Record, Store, StoreUnavailable, TrendingTile
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import LEVEL_OF_MS, Tile, Version
from feature_store.topics import Topic

log = logging.getLogger(__name__)
T = TypeVar("T")

STORES: Final[dict[str, Callable[[Settings], Store]]] = {
    "redis": RedisStore.connect,
    "cassandra": CassandraStore.connect,
}
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0

DEAD_LETTERS: Final = """
CREATE TEMPORARY TABLE `{topic}` (
  topic STRING, `partition` INT, `offset` BIGINT, append_time BIGINT, reason STRING, body BYTES
) WITH (
  'connector' = 'kafka', 'topic' = '{name}', 'properties.bootstrap.servers' = '{kafka}',
  'format' = 'json', 'sink.delivery-guarantee' = 'at-least-once'
)"""


class PatientStore:
    """A store that is connected to when first needed, and waited for while it is down."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name = name
        self._settings = settings
        self._store: Store | None = None

    def call(self, work: Callable[[Store], T]) -> T:
        """Repeats the work until the store has done it."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                self._store = self._store or STORES[self._name](self._settings)
                return work(self._store)
            except StoreUnavailable as error:
                log.warning("waiting %.2f s for the store: %s", pause, error)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)


class StoreWriter(ScalarFunction):  # type: ignore[misc]
    """A vectorised function that writes each batch of rows to a store."""

    def __init__(self, store: PatientStore) -> None:
        self._store = store

    def eval(self, *columns: pd.Series[Any]) -> pd.Series[int]:
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        self._store.call(lambda store: self.write(store, rows))
        return pd.Series([1] * len(rows), dtype="int64")

    @abstractmethod
    def write(self, store: Store, rows: Sequence[tuple[Any, ...]]) -> None:
        """Writes the rows; called again with the same ones when the store was unavailable."""


class WriteTiles(StoreWriter):
    """(entity id, level ms, start, applied, body) rows of one kind of entity."""

    def __init__(self, store: PatientStore, entity: Entity, epoch: int, generation: int) -> None:
        super().__init__(store)
        self._entity = entity
        self._epoch = epoch
        self._generation = generation

    def write(self, store: Store, rows: Sequence[tuple[Any, ...]]) -> None:
        store.write_tiles(
            Tile(self._entity, key, LEVEL_OF_MS[ms], self._version(start, applied), body)
            for key, ms, start, applied, body in rows
        )

    def _version(self, start: int, applied: int) -> Version:
        return Version.of_tile(start, self._epoch, applied, self._generation)


class WriteRecents(StoreWriter):
    """(actor, event time, event id, type, item id, quantity, price, query) rows."""

    def write(self, store: Store, rows: Sequence[tuple[Any, ...]]) -> None:
        store.write_recents((actor, Recent(*fields)) for actor, *fields in rows)


class WriteRecords(StoreWriter):
    """(key, append time, offset, body) rows of one kind of entity."""

    def __init__(self, store: PatientStore, entity: Entity) -> None:
        super().__init__(store)
        self._entity = entity

    def write(self, store: Store, rows: Sequence[tuple[Any, ...]]) -> None:
        store.write_records(
            Record(self._entity, key, Version(append_time, 0, offset), body)
            for key, append_time, offset, body in rows
        )


class WriteTrendingTiles(StoreWriter):
    """(level ms, start, item id, applied, weight) rows."""

    def __init__(self, store: PatientStore, epoch: int, generation: int) -> None:
        super().__init__(store)
        self._epoch = epoch
        self._generation = generation

    def write(self, store: Store, rows: Sequence[tuple[Any, ...]]) -> None:
        store.write_trending_tiles(
            TrendingTile(LEVEL_OF_MS[ms], self._version(start, applied), item, weight)
            for ms, start, item, applied, weight in rows
        )

    def _version(self, start: int, applied: int) -> Version:
        return Version.of_tile(start, self._epoch, applied, self._generation)


def register(t_env: StreamTableEnvironment, name: str, writer: StoreWriter) -> None:
    """Makes a writer callable from SQL; it returns 1 for each row written."""
    function = udf(writer, result_type=DataTypes.BIGINT(), func_type="pandas")
    t_env.create_temporary_system_function(name, function)


def dead_letters(t_env: StreamTableEnvironment, settings: Settings, topic: Topic) -> str:
    """Defines a topic's dead-letter table and returns its name."""
    ddl = DEAD_LETTERS.format(
        topic=topic.dead_letter, name=settings.topic(topic.dead_letter), kafka=settings.kafka
    )
    t_env.execute_sql(ddl)
    return topic.dead_letter
