"""`millrace features` shows what is declared and derived, and what to type for a wrong name."""

from __future__ import annotations

import math
import re

import pytest
from typer.testing import CliRunner

from feature_store import declaration
from feature_store.aggregates import Count, Distinct
from feature_store.declaration import Entity, Feature
from feature_store.stores.base import Recent, Record
from feature_store.stores.memory import MemoryStore
from feature_store.tiles import DAY, DAY_1, DAYS_28, HOUR, LIFETIME, Tile, TileSet, Version
from feature_store.vectors import columns, derived_columns, window_columns
from infra.cli import app
from infra.commands.features import bytes_at_most
from infra.commands.live import derived, values
from infra.stack.errors import StackError
from tests.builders import DAY as A_DAY
from tests.builders import NOON

DECLARED = declaration.load("feature_store.features")


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["features", *arguments], env={"COLUMNS": "400"})
    if done.exception:
        raise done.exception
    return done.output


def test_every_feature_is_listed_with_its_columns_and_readers() -> None:
    lines = run().splitlines()
    for feature in DECLARED.features:
        (line,) = [one for one in lines if one.split()[:2] == [feature.entity.value, feature.name]]
        assert all(feature.column(window) in line for window in feature.windows)
    (carts,) = [line for line in lines if line.split()[:2] == ["item", "carts"]]
    assert "ranker item_view_to_cart" in carts


def test_every_column_that_is_derived_is_listed_with_what_it_is_made_of() -> None:
    told = run().split("Derived when they are read:")[1].splitlines()
    for column in derived_columns(DECLARED):
        (line,) = [one for one in told if one.split()[1:2] == [column.name]]
        made_of = ", ".join(column.reads)
        assert line.split() == [column.about, column.name, *made_of.split(), "ranker"]
    windows = {name for entity in Entity for name in window_columns(DECLARED, entity)}
    derived_names = {column.name for column in derived_columns(DECLARED)}
    assert {*columns(DECLARED, ())} == windows | derived_names | {"item_price_minor"}


def test_a_feature_is_explained_by_the_sql_of_both_engines() -> None:
    said = run("explain", "purchases", "--entity", "item")
    assert "tile_body('purchases'" in said
    assert "TO_JSON(NAMED_STRUCT('purchases'" in said
    assert "-- Spark: the base" in said
    assert "engagement" not in said
    assert "Physical Plan" not in said


def test_with_its_plan_a_feature_is_explained_by_what_spark_makes_of_the_sql() -> None:
    said = run("explain", "purchases", "--entity", "item", "--plan")
    recount, base = re.split("-- Spark's plan of .*\n", said)[1:]
    for plan in (recount, base):
        assert plan.startswith("== Physical Plan ==")
        assert "Scan parquet" in plan
        assert "Aggregate" in plan
        assert "= purchase)" in plan


def test_a_derived_column_is_explained_by_its_formula() -> None:
    said = run("explain", "item_view_to_cart")
    assert "(item_carts_28d + 20 x 0.05) / (item_views_28d + 20)" in said
    assert "reads:    item_views_28d, item_carts_28d" in said
    assert "SELECT" not in said


def known() -> MemoryStore:
    """Ann bought milk twice and met a tea; milk was viewed and put into carts."""
    store = MemoryStore()
    store.write_recents(
        ("ann", Recent(NOON - days * A_DAY, f"e{days}", kind, item, 1, price, ""))
        for days, kind, item, price in (
            (9, "purchase", "milk", 100), (2, "view", "tea", 0), (1, "purchase", "milk", 300),
        )
    )  # fmt: skip
    said = {
        "milk": '{"category":["food","dairy"],"price":2.0}',
        "tea": '{"category":["food","drinks"],"brand":"b","price":4.0}',
        "jam": '{"category":["food","dairy"],"brand":"b","price":2.0}',
    }
    store.write_records(
        Record(Entity.ITEM, item, Version(NOON, 0, 0), body) for item, body in said.items()
    )
    today = Version.of_tile(DAY.start(NOON), 0, 1)
    store.write_tiles([Tile(Entity.ITEM, "milk", DAY, today, '{"carts":9,"views":80}')])
    return store


@pytest.mark.parametrize(
    ("name", "key", "item", "expected"),
    [
        ("user_days_since_last", "ann", None, 1),
        ("user_mean_price_minor", "ann", None, 200),
        ("user_days_since_last", "nobody", None, math.nan),
        ("item_view_to_cart", "milk", None, (9 + 20 * 0.05) / (80 + 20)),
        ("item_view_to_cart", "jam", None, 0.05),
        ("pair_days_between_visits", "ann", "milk", 8),
        ("pair_due", "ann", "milk", 1 / 8),
        ("pair_category_share", "ann", "jam", 2 / 3),
        ("pair_brand_share", "ann", "jam", 1 / 3),
        ("pair_price_log_ratio", "ann", "tea", math.log(2)),
        ("pair_interactions", "ann", "something else", 0),
    ],
)
def test_a_derived_value_is_what_serving_would_read(
    name: str, key: str, item: str | None, expected: float
) -> None:
    (column,) = [one for one in derived_columns(DECLARED) if one.name == name]
    told, value = derived(known(), DECLARED, column, key, item, NOON).split(" = ")
    assert told == name
    assert float(value) == pytest.approx(expected, rel=1e-4, nan_ok=True)


def test_a_pair_wants_its_item() -> None:
    (column,) = [one for one in derived_columns(DECLARED) if one.name == "pair_due"]
    with pytest.raises(StackError, match="--id USER --item ITEM"):
        derived(known(), DECLARED, column, "ann", None, NOON)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("explain", "stares"), "`millrace features` lists them"),
        (("explain", "views"), "--entity user"),
        (("explain", "actors", "--entity", "user"), "No feature is called actors"),
    ],
)
def test_a_wrong_name_says_what_to_type(arguments: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(StackError, match=complaint):
        run(*arguments)


def test_the_price_is_every_slot_in_the_widest_spelling() -> None:
    days = Feature("ab", Entity.USER, ("view",), Count(), (DAYS_28, LIFETIME))
    assert bytes_at_most(days) == (DAY.slots + 1) * len('"ab":-9223372036854775808,')
    sketch = Feature("ab", Entity.ITEM, ("view",), Distinct("actor"), (DAY_1,))
    assert bytes_at_most(sketch) > HOUR.slots * 32 * len("9223372036854775807,")


def test_a_value_is_told_for_every_window() -> None:
    feature = Feature("views", Entity.USER, ("view",), Count(), (DAY_1, DAYS_28))
    tiles = TileSet([(DAY, DAY.start(NOON), {"views": 3})])
    assert list(values(feature, tiles, NOON)) == ["user_views_24h = 0", "user_views_28d = 3"]
