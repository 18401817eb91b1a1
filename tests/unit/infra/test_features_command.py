"""`millrace features` shows what is declared, and says what to type instead of a wrong name."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from feature_store import declaration
from feature_store.aggregates import Count, Distinct
from feature_store.declaration import Entity, Feature
from feature_store.tiles import DAY, DAY_1, DAYS_28, HOUR, LIFETIME, TileSet
from infra.cli import app
from infra.commands.features import bytes_at_most, values
from infra.stack.errors import StackError
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


def test_a_feature_is_explained_by_the_sql_of_both_engines() -> None:
    said = run("explain", "purchases", "--entity", "item")
    assert "tile_body('purchases'" in said
    assert "TO_JSON(NAMED_STRUCT('purchases'" in said
    assert "-- Spark: the base" in said
    assert "engagement" not in said


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
