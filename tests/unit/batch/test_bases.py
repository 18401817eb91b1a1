"""A base and the day tiles after it are the whole log, late events included."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from batch import compiler
from batch.bases import base_day, bases
from batch.decoding import SCHEMAS
from batch.session import session
from feature_store.aggregates import Count, Distinct
from feature_store.declaration import Declaration, Entity, Feature
from feature_store.reference import fold
from feature_store.settings import Settings
from feature_store.tiles import BASE, DAY_1, LIFETIME, Tile, TileSet, Version
from tests.builders import DAY, HOUR, NOON, Sent, log_of, purchase, view
from tests.spec.engines import body, decoded

MIDNIGHT = NOON - 12 * HOUR
SETTINGS = Settings(horizon_hours=48)
DECLARED = Declaration(
    (
        Feature("purchases", Entity.USER, ("purchase",), Count(), (DAY_1, LIFETIME)),
        Feature("views", Entity.USER, ("view",), Count(), (DAY_1,)),
        Feature("buyers", Entity.ITEM, ("purchase",), Distinct("actor"), (LIFETIME,)),
    )
)
OLD = purchase("ann", "milk", at=NOON - 90 * DAY)
LOG = [
    OLD,
    OLD.again(after=80 * DAY),
    purchase("bob", "milk", at=NOON - 50 * DAY, arrives=NOON - 10 * DAY),
    purchase("eve", "tea", at=NOON - 20 * DAY),
    view("ann", "tea", at=NOON - 9 * DAY),
    purchase("ann", "milk", at=NOON - 3 * DAY),
    purchase("ann", "milk", at=NOON - HOUR),
]


@pytest.fixture(scope="module")
def spark() -> SparkSession:
    return session("bases")


def found(spark: SparkSession, sent: list[Sent], erased: str = "") -> dict[tuple[str, str], Tile]:
    """The bases of a log; `erased` is a user whose tombstone came at noon."""
    table = pa.Table.from_pylist(decoded(log_of(sent)), schema=SCHEMAS["user-interactions"])
    spark.createDataFrame(table).createOrReplaceTempView("landed")
    gone = [(erased, NOON)]
    spark.createDataFrame(gone, "user_id string, append_time long").createOrReplaceTempView("gone")
    counted = compiler.counted("landed", "gone", SETTINGS.horizon_ms)
    spark.sql(counted).createOrReplaceTempView("counted")
    until = base_day(max(message.append_time for message in log_of(sent)), SETTINGS.horizon_ms)
    return {
        (row.entity, row.entity_id): Tile(
            row.entity, row.entity_id, BASE, Version.of_tile(row.start, 0, row.applied), row.body
        )
        for row in spark.sql(bases(DECLARED, "counted", until)).collect()
    }


def test_a_base_counts_everything_before_the_horizon_once_and_late_events_too(
    spark: SparkSession,
) -> None:
    kept = found(spark, LOG)
    assert {key: tile.body for key, tile in kept.items() if key[0] == "user"} == {
        ("user", "ann"): body(purchases=2),
        ("user", "bob"): body(purchases=1),
        ("user", "eve"): body(purchases=1),
    }
    assert {tile.start for tile in kept.values()} == {MIDNIGHT - 2 * DAY}
    assert kept["user", "ann"].version.applied == 3


def test_a_lifetime_is_the_whole_log(spark: SparkSession) -> None:
    tiles = [*fold(DECLARED, log_of(LOG), SETTINGS.horizon_ms).tiles(), *found(spark, LOG).values()]
    purchases, buyers = DECLARED.of(Entity.USER)[0], DECLARED.of(Entity.ITEM)[0]

    def of(entity: str, key: str) -> TileSet:
        fields = {
            t.level.slot(t.start): t.encode()
            for t in tiles
            if (t.entity, t.entity_id) == (entity, key)
        }
        return TileSet.from_ring(fields)

    assert purchases.value(of("user", "ann"), LIFETIME, NOON) == 3
    assert purchases.value(of("user", "bob"), LIFETIME, NOON) == 1
    assert buyers.value(of("item", "milk"), LIFETIME, NOON) == 2


def test_who_was_erased_has_no_base(spark: SparkSession) -> None:
    kept = found(spark, LOG, erased="eve")
    assert ("user", "eve") not in kept
    assert ("user", "ann") in kept


def test_nothing_older_than_the_horizon_makes_no_base(spark: SparkSession) -> None:
    assert found(spark, LOG[-1:]) == {}


@pytest.mark.parametrize(("hours", "days"), [(48, 2), (64 * 24, 60)])
def test_a_base_ends_at_the_horizon_but_leaves_no_more_days_than_the_ring_keeps(
    hours: int, days: int
) -> None:
    settings = Settings(horizon_hours=hours)
    assert base_day(NOON, settings.horizon_ms) == MIDNIGHT - days * DAY
