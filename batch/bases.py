"""Bases: what the batch layer knows of everything before a day, for windows that last a lifetime.

A base holds late events too, because the whole log is read, and it never lies in Flink's state.
Together with the day tiles after it, it is a lifetime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pyspark.sql import DataFrame, SparkSession

from batch import compiler
from feature_store.declaration import Declaration, Entity
from feature_store.settings import Settings
from feature_store.stores.base import Store, StoreUnavailable
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAY, DAY_MS, Tile

#: The most days left to tiles. The ring holds 64: some nights may fail before a day is missing.
MOST_MS: Final = 60 * DAY_MS
STORES: Final[tuple[Callable[[Settings], Store], ...]] = (
    RedisStore.connect,
    CassandraStore.connect,
)


def base_day(cut_ms: int, horizon_ms: int) -> int:
    """The day before which a recount of the log up to `cut_ms` owns everything."""
    return DAY.start(cut_ms - min(horizon_ms, MOST_MS))


def bases(
    spark: SparkSession, declaration: Declaration, settings: Settings, landed: str, erased: str
) -> DataFrame | None:
    """The base of every entity, in the columns of tiles; None when there is nothing to keep.

    `landed` is the log of interactions, `erased` has (user_id, append_time) of tombstones: what a
    user did before one is in no base of the user.
    """
    entities = [entity for entity in Entity if declaration.lifelong(entity)]
    oldest, newest = spark.sql(
        f"SELECT MIN(event_time), MAX(append_time) FROM {landed} WHERE reason IS NULL"
    ).collect()[0]
    until = base_day(newest or 0, settings.horizon_ms)
    if not entities or oldest is None or oldest >= until:
        return None
    _events(spark, landed, erased).createOrReplaceTempView("ever")
    views = {Entity.ITEM: "ever", Entity.USER: "(SELECT * FROM ever WHERE NOT forgotten)"}
    parts = (compiler.bases(declaration, entity, views[entity], until) for entity in entities)
    return spark.sql("\nUNION ALL\n".join(parts))


def write_bases(settings: Settings, found: Sequence[Tile]) -> Iterator[str]:
    """Writes bases to every store, and says what was written where.

    A store that does not answer keeps the base it has; the next night brings a newer one.
    """
    for connect in STORES if found else ():
        try:
            store = connect(settings)
            store.write_tiles(found)
            store.close()
            yield f"{len(found)} bases to {store.name}"
        except StoreUnavailable as error:
            yield f"bases NOT written, {error}"


def _events(spark: SparkSession, landed: str, erased: str) -> DataFrame:
    """Each interaction once, however late; `forgotten` where its actor was erased after it."""
    return spark.sql(f"""
        SELECT e.*, COALESCE(e.append_time <= gone.at, FALSE) AS forgotten
        FROM ({compiler.applied(landed, compiler.EVER)}) AS e
        LEFT JOIN (SELECT user_id, MAX(append_time) AS at FROM {erased} GROUP BY user_id) AS gone
        ON e.actor = gone.user_id""")
