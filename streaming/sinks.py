"""Where results go: tables of the two stores, records, and dead letters.

Tiles, recents and trending tiles go through sinks in the JVM (`streaming/jvm`), a few thousand
rows a second or many; records, which are few, through a vectorised Python function. Both return
only when the store has the rows, before Flink's checkpoint passes: at-least-once. Absolute,
versioned values make the effect exact. A store that is down is waited for, with back-pressure and
without a restart.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from pyflink.metrics import Counter, MetricGroup
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.udf import FunctionContext, ScalarFunction, udf

from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores import cassandra, redis
from feature_store.stores.base import RECENTS_KEPT, Record, Store, StoreUnavailable
from feature_store.tiles import DAY, FOLDED, GENERATIONS, Level, Version
from feature_store.topics import Topic

log = logging.getLogger(__name__)
Options = dict[str, object]

TILES: Final = """entity_id STRING, ms BIGINT, tile_start BIGINT, applied BIGINT, body STRING,
  PRIMARY KEY (entity_id, ms, tile_start) NOT ENFORCED"""
RECENTS: Final = """actor STRING, event_time BIGINT, event_id STRING, type STRING, item_id STRING,
  quantity BIGINT, price_minor BIGINT, query_text STRING, append_time BIGINT, traceparent STRING"""
TRENDING: Final = """ms BIGINT, tile_start BIGINT, `member` STRING, applied BIGINT, weight BIGINT,
  PRIMARY KEY (`member`, ms, tile_start) NOT ENFORCED"""

STORES: Final[dict[str, Callable[[Settings], Store]]] = {
    "redis": redis.RedisStore.connect,
    "cassandra": cassandra.CassandraStore.connect,
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


@dataclass(frozen=True, slots=True)
class Pace:
    """When a sink sends: so many rows, or so long after the first of them."""

    batch_rows: int
    linger_ms: int


class PatientStore:
    """A store that is connected to when first needed, and waited for while it is down."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name = name
        self._settings = settings
        self._store: Store | None = None
        self._waits: Counter | None = None
        #: Whether the last attempt met a store that was down.
        self.down = False

    def count_waits(self, metrics: MetricGroup) -> None:
        """Counts each attempt after which the store has to be waited for, as the JVM sinks do."""
        self._waits = metrics.counter("millrace_store_waits")

    def attempt(self, work: Callable[[Store], None]) -> bool:
        """Does the work unless the store is down; returns whether it is done."""
        try:
            self._store = self._store or STORES[self._name](self._settings)
            work(self._store)
        except StoreUnavailable as error:
            log.warning("waiting for the store: %s", error)
            self.down = True
            if self._waits:
                self._waits.inc()
        else:
            self.down = False
        return not self.down

    def call(self, work: Callable[[Store], None]) -> None:
        """Repeats the work until the store has done it."""
        pause = FIRST_PAUSE_S
        while not self.attempt(work):
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


class StoreWriter(ScalarFunction):  # type: ignore[misc]
    """A vectorised function that writes each batch of rows to a store.

    It has no gauge that says that the store is down: Flink hears of a Python function when a batch
    is done, and then it is not. The tick of trending asks the same store, and has one.
    """

    def __init__(self, store: PatientStore) -> None:
        self._store = store

    def open(self, context: FunctionContext) -> None:
        self._store.count_waits(context.get_metric_group())

    def eval(self, *columns: pd.Series[Any]) -> pd.Series[int]:
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        self._store.call(lambda store: self.write(store, rows))
        return pd.Series([1] * len(rows), dtype="int64")

    @abstractmethod
    def write(self, store: Store, rows: Sequence[tuple[Any, ...]]) -> None:
        """Writes the rows; called again with the same ones when the store was unavailable."""


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


def register_tables(
    t_env: StreamTableEnvironment, settings: Settings, store: str, generation: int, pace: Pace
) -> None:
    """Defines the tables `user_tiles`, `item_tiles`, `recents` and `trending_tiles` of a store."""
    common = {
        "connector": "millrace",
        "store": store,
        "namespace": settings.namespace,
        "levels": ",".join(map(_spelled, FOLDED)),
        "epoch": settings.epoch,
        "generation": generation,
        "generations": GENERATIONS,
        "kept": RECENTS_KEPT,
        "batch": pace.batch_rows,
        "linger-ms": pace.linger_ms,
    }
    dialect = _redis(settings) if store == "redis" else _cassandra(settings)
    for table, kind, entity, columns in (
        ("user_tiles", "tiles", Entity.USER, TILES),
        ("item_tiles", "tiles", Entity.ITEM, TILES),
        ("recents", "recents", "", RECENTS),
        ("trending_tiles", "trending", "", TRENDING),
    ):
        options = {**common, **dialect[table], "kind": kind, "entity": entity}
        stated = ", ".join(f"'{key}' = {_quoted(value)}" for key, value in options.items())
        t_env.execute_sql(f"CREATE TEMPORARY TABLE {table} ({columns}) WITH ({stated})")


def register_records(t_env: StreamTableEnvironment, name: str, writer: StoreWriter) -> None:
    """Makes a writer callable from SQL; it returns 1 for each row written."""
    function = udf(writer, result_type=DataTypes.BIGINT(), func_type="pandas")
    t_env.create_temporary_system_function(name, function)


def _redis(settings: Settings) -> dict[str, Options]:
    upsert: Options = {"address": settings.redis, "statement": redis.UPSERT}
    return {
        "user_tiles": {**upsert, "lives-s": redis.USER_TTL_S},
        "item_tiles": upsert,
        "recents": {
            "address": settings.redis,
            "lives-s": redis.USER_TTL_S,
            "traces": settings.traces,
        },
        "trending_tiles": upsert,
    }


def _cassandra(settings: Settings) -> dict[str, Options]:
    common: Options = {
        "address": settings.cassandra,
        "schema": ";".join(cassandra.schema(settings)),
    }
    tile: Options = {**common, "statement": cassandra.STATEMENTS["tile"]}
    recent: Options = {
        "statement": cassandra.STATEMENTS["recent"],
        "lives-s": DAY.kept_ms // 1000,
        "traces": settings.traces,
    }
    return {
        "user_tiles": tile,
        "item_tiles": tile,
        "recents": {**common, **recent},
        "trending_tiles": {**common, "statement": cassandra.STATEMENTS["trend"]},
    }


def _spelled(level: Level) -> str:
    return f"{level.code}:{level.ms}:{level.slots}:{level.kept_ms // 1000}"


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def dead_letters(t_env: StreamTableEnvironment, settings: Settings, topic: Topic) -> str:
    """Defines a topic's dead-letter table and returns its name."""
    ddl = DEAD_LETTERS.format(
        topic=topic.dead_letter, name=settings.topic(topic.dead_letter), kafka=settings.kafka
    )
    t_env.execute_sql(ddl)
    return topic.dead_letter
