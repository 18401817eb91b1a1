"""A declaration is checked when it is loaded, and says what to change."""

from __future__ import annotations

from typing import Any

import pytest

from feature_store import declaration
from feature_store.aggregates import Count, Distinct, Sum
from feature_store.declaration import Declaration, DeclarationError, Entity, Feature
from feature_store.tiles import DAY, DAY_1, DAY_MS, DAYS_28, DECAYED, HOUR, MINUTE, Level, Window

WEEK = Level("w", 7 * DAY_MS, 60)
HALF_A_YEAR = Window("half_a_year", 182 * DAY_MS, DAY)
A_WEEK = Window("week", 7 * DAY_MS, WEEK)


def feature(**other: Any) -> Feature:
    """A good feature of a user, but for what is said otherwise."""
    good = {
        "name": "views", "entity": Entity.USER, "events": ("view",),
        "aggregate": Count(), "windows": (DAY_1,),
    }  # fmt: skip
    return Feature(**{**good, **other})


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"name": "no spaces"}, "letters, digits"),
        ({"events": ("stare",)}, r"events \['stare'\]; use view"),
        ({"events": ()}, "events"),
        ({"events": "view"}, "with the comma"),
        ({"events": ["view"]}, "write a tuple"),
        ({"entity": Entity.ITEM, "events": ("search",)}, "a feature of the user"),
        ({"aggregate": Sum("price")}, "measure 'price'; sum quantity, amount_minor, weight"),  # type: ignore[arg-type]
        ({"aggregate": Distinct("device")}, "or tell apart actor"),  # type: ignore[arg-type]
        ({"aggregate": Sum("actor")}, "measure 'actor'; sum quantity, amount_minor, weight"),  # type: ignore[arg-type]
        ({"aggregate": Distinct("quantity")}, "measure 'quantity'; .* tell apart actor"),  # type: ignore[arg-type]
        ({"aggregate": Distinct("actor", size=1)}, "size 1; an estimate needs two"),
        ({"aggregate": Count}, r"aggregate .*Count.*; write Count\(\), .* with the brackets"),
        ({"aggregate": None}, r"aggregate None; write Count\(\)"),
        ({"entity": "user"}, r"entity 'user'; write Entity.USER or Entity.ITEM"),
        ({"entity": "shop"}, "entity 'shop'; write Entity.USER or Entity.ITEM"),
        ({"windows": ()}, "at least one window"),
        ({"windows": DAY_1}, "with the comma"),
        ({"windows": (DAY_1, DAY_1)}, "two windows of one name"),
        ({"windows": (HALF_A_YEAR,)}, "use a wider level"),
        ({"windows": (A_WEEK,)}, "use MINUTE, HOUR or DAY"),
        ({"aggregate": Distinct("actor"), "windows": (DECAYED,)}, "Distinct cannot fade"),
    ],
)
def test_a_wrong_feature_says_what_to_change(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DeclarationError, match=f"feature (user|item|shop).*{complaint}"):
        Declaration((feature(**wrong),))


def test_what_is_no_feature_says_so() -> None:
    with pytest.raises(DeclarationError, match="write Feature"):
        Declaration(("views",))  # type: ignore[arg-type]


def test_a_feature_may_be_declared_once_for_an_entity() -> None:
    with pytest.raises(DeclarationError, match="declared twice"):
        Declaration((feature(), feature()))
    assert len(Declaration((feature(), feature(entity=Entity.ITEM))).features) == 2


@pytest.mark.parametrize("module", ["nowhere", "feature_store.tiles"])
def test_a_module_that_is_no_declaration_is_named(module: str) -> None:
    with pytest.raises(DeclarationError, match=f"MILLRACE_FEATURES={module}.*called FEATURES"):
        declaration.load(module)


def test_a_tile_holds_what_a_window_reads_from_its_level() -> None:
    often, seldom = feature(name="often", windows=(DAY_1, DAYS_28)), feature(windows=(DAY_1,))
    declared = Declaration((seldom, often))
    assert declared.levels(Entity.USER) == (HOUR, DAY)
    assert declared.of(Entity.USER, HOUR) == (often, seldom)
    assert declared.of(Entity.USER, DAY) == (often,)
    assert declared.of(Entity.USER, MINUTE) == ()


def test_the_fingerprint_follows_the_meaning() -> None:
    def declared(aggregate: Count | Sum) -> str:
        return Declaration((feature(aggregate=aggregate),)).fingerprint

    assert declared(Count()) == declared(Count())
    assert declared(Count()) != declared(Sum("quantity"))
