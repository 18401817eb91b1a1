"""The recount follows the stream where tiles are young, and knows better where they are old."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

import orjson
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from batch import compiler
from batch.decoding import SCHEMAS
from batch.recount import all_tiles
from batch.session import session
from feature_store.aggregates import Count
from feature_store.declaration import TYPES, Declaration, Entity, Feature, load
from feature_store.reference import fold
from feature_store.tiles import DAY_1, DAYS_7, Tile
from tests.builders import DAY, HOUR, MINUTE, NOON, Sent, interaction, log_of, view
from tests.recount import recounted
from tests.spec.engines import body, decoded

H = 48 * HOUR
MIDNIGHT = NOON - 12 * HOUR
DECLARED = Declaration(
    (
        Feature("views", Entity.USER, ("view",), Count(), (DAYS_7,)),
        Feature("views", Entity.ITEM, ("view",), Count(), (DAY_1, DAYS_7)),
    )
)
Tiles = dict[tuple[str, str, str, int], tuple[int, str]]


@pytest.fixture(scope="module")
def spark() -> SparkSession:
    return session("recount")


def counted(
    spark: SparkSession,
    sent: Sequence[Sent],
    erased: str = "",
    declaration: Declaration = DECLARED,
) -> Tiles:
    """The recount of a log whose newest message is its cut; `erased` was so at noon."""
    table = pa.Table.from_pylist(decoded(log_of([*sent])), schema=SCHEMAS["user-interactions"])
    spark.createDataFrame(table).createOrReplaceTempView("landed")
    gone = pa.table({"user_id": [erased], "append_time": [NOON]})
    spark.createDataFrame(gone).createOrReplaceTempView("gone")
    spark.sql(compiler.counted("landed", "gone", H)).createOrReplaceTempView("counted")
    cut = max(one.arrives for one in sent)
    rows = spark.sql(all_tiles(declaration, "counted", cut, H)).collect()
    return {(r.entity, r.entity_id, r.level, r.start): (r.applied, r.body) for r in rows}


def streamed(sent: Sequence[Sent]) -> Tiles:
    return told(fold(DECLARED, log_of([*sent]), H).tiles())


def told(tiles: Iterable[Tile]) -> Tiles:
    return {
        (str(t.entity), t.entity_id, t.level.code, t.start): (t.version.applied, t.body)
        for t in tiles
    }


def test_a_late_event_counts_in_the_day_that_the_batch_layer_owns(spark: SparkSession) -> None:
    day = MIDNIGHT - 9 * DAY
    sent = [
        view("ann", "tea", at=day),
        view("ann", "tea", at=day + 1, arrives=NOON - DAY),
        view("ann", "tea", at=NOON),
    ]
    tiles = counted(spark, sent)
    assert streamed(sent)["user", "ann", "d", day] == (1, body(views=1))
    assert tiles["user", "ann", "d", day] == tiles["item", "tea", "d", day] == (2, body(views=2))
    young = {address: tile for address, tile in tiles.items() if address[3] >= MIDNIGHT}
    assert young.items() <= streamed(sent).items()
    assert [tile for address, tile in tiles.items() if address[2] == "h"] == [
        (1, body(views=1))
    ] * 2


def test_a_late_event_waits_until_the_stream_lets_go_of_its_day(spark: SparkSession) -> None:
    day = MIDNIGHT - 2 * DAY
    late = view("ann", "tea", at=day + HOUR, arrives=day + HOUR + H + 1)
    before = [late, view("bob", "tea", at=day + H + DAY - 1)]
    assert ("user", "ann", "d", day) not in counted(spark, before)
    after = [late, view("bob", "tea", at=day + H + DAY)]
    assert counted(spark, after)["user", "ann", "d", day] == (1, body(views=1))


def test_an_event_whose_late_copy_came_first_counts_once_and_where_the_stream_counted_it(
    spark: SparkSession,
) -> None:
    first = view("ann", "tea", at=NOON - 9 * DAY, arrives=NOON)
    corrected = Sent({**first.body, "event_time": NOON}, NOON + 1)  # type: ignore[dict-item]
    sent = [first, corrected]
    assert counted(spark, sent) == streamed(sent)


def test_what_came_before_an_erasure_is_in_no_tile_of_the_user(spark: SparkSession) -> None:
    sent = [view("eve", "tea", at=NOON - HOUR), view("eve", "tea", at=NOON + HOUR)]
    tiles = counted(spark, sent, erased="eve")
    assert tiles["user", "eve", "d", MIDNIGHT] == (1, body(views=1))
    assert tiles["item", "tea", "d", MIDNIGHT] == (2, body(views=2))


def test_the_recount_in_plain_python_says_the_same(spark: SparkSession) -> None:
    """The one that stories of streams and nights are held against (`tests/contracts`)."""
    rng = Random(7)
    sent: list[Sent] = []
    for arrives in sorted(rng.randrange(NOON - 30 * DAY, NOON) for _ in range(600)):
        if sent and rng.random() < 0.2:
            copied = rng.choice(sent)
            sent.append(copied.again(after=arrives - copied.arrives))
            continue
        kind, late = rng.choice(TYPES), int(rng.expovariate(1) * rng.choice((MINUTE, HOUR, DAY)))
        who, what = f"user-{rng.randrange(5)}", f"item-{rng.randrange(4)}"
        more = {"arrives": arrives, "price": 2.5, "quantity": rng.randint(1, 3)}
        sent.append(interaction(kind, who, what, at=arrives - late, **more))
    features = load("feature_store.features")
    found = counted(spark, sent, declaration=features)
    assert found == told(recounted(features, log_of(sent), H))
    assert {level for _, _, level, _ in found} == {"m", "h", "d", "b"}
    assert fold(features, log_of(sent), H).counts["late"] > 20


def test_a_user_with_a_hundred_thousand_events_is_counted_like_any_other(
    spark: SparkSession,
) -> None:
    event = view("bot", "tea", at=NOON)
    (row,) = decoded(log_of([event]))
    many = 100_000
    table = pa.Table.from_pylist([row], schema=SCHEMAS["user-interactions"]).take([0] * many)
    ids = pa.array([f"e{n}" for n in range(many)])
    place = table.schema.get_field_index("event_id")
    spark.createDataFrame(table.set_column(place, "event_id", ids)).createOrReplaceTempView("many")
    spark.sql(compiler.counted("many", "gone", H)).createOrReplaceTempView("counted")
    rows = spark.sql(all_tiles(DECLARED, "counted", NOON, H)).collect()
    assert {orjson.loads(row.body)["views"] for row in rows} == {many}
