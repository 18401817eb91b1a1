"""What Flink's SQL makes of engagement: capped for each actor, everywhere and in each country."""

from __future__ import annotations

import pytest

from feature_store import declaration
from feature_store.reference import Fold
from feature_store.stores.base import TrendingTile
from feature_store.tiles import LEVEL_OF_MS, MINUTE, MINUTE_MS, Version
from feature_store.trending import CAP, fold
from streaming import trending
from tests.builders import DAY, HOUR, NOON, Sent, dislike, log_of, purchase, search, view
from tests.spec.engines import engagement, flink
from tests.spec.examples import HORIZON

#: (item, country) -> (events applied, weight), in the minute of noon.
Weights = dict[tuple[str, str], tuple[int, int]]


def at_home(sent: Sent, country: str) -> Sent:
    """The same with a country stamped on it."""
    assert isinstance(sent.body, dict)
    return Sent({**sent.body, "context": {"country": country}}, sent.arrives)


LOG = [
    view("ann", "milk", at=NOON),
    view("bob", "milk", at=NOON + 1),
    *(purchase("bot", "spam", at=NOON + n) for n in range(50)),
    purchase("ann", "spam", at=NOON + 3),
    *(dislike("foe", "jam", at=NOON + n) for n in range(50)),
    *(at_home(purchase("bot", "tea", at=NOON + n), "NO" if n % 2 else "SE") for n in range(50)),
    at_home(view("eve", "tea", at=NOON + 7), "NO"),
    at_home(view("eve", "rye", at=NOON + 7), "Norway"),
    at_home(view("eve", "oat", at=NOON + 8), "NO\n"),
    view("ann", "milk", at=NOON + MINUTE_MS),
    search("ann", at=NOON, query="tea"),
    (late := view("bob", "rye", at=NOON, arrives=NOON + 2 * HOUR)),
    late.again(),
    view("eve", "rye", at=NOON, arrives=NOON + 2 * DAY),
]


@pytest.fixture(scope="module")
def tiles() -> set[TrendingTile]:
    """What Flink makes of the log."""
    found: dict[tuple[int, int, str], tuple[int, int]] = {}
    query = trending.tiles(since=0)
    with flink(HORIZON, log_of(LOG)).execute_sql(query).collect() as changes:
        for ms, start, member, applied, weight in changes:
            address = (ms, start, member)
            found[address] = max(found.get(address, (0, 0)), (applied, weight))
    return {
        TrendingTile.of_member(
            LEVEL_OF_MS[ms], member, f"{Version.of_tile(start, 0, applied).encode()}{weight}"
        )
        for (ms, start, member), (applied, weight) in found.items()
    }


@pytest.fixture(scope="module")
def weights(tiles: set[TrendingTile]) -> Weights:
    noon = (tile for tile in tiles if (tile.level, tile.version.moment) == (MINUTE, NOON))
    return {(t.item_id, t.country): (t.version.applied, t.weight) for t in noon}


def test_flink_makes_the_tiles_that_python_makes(tiles: set[TrendingTile]) -> None:
    reference = Fold(declaration.load("feature_store.features"), HORIZON)
    assert tiles == {*fold(engagement(reference, log_of(LOG)))}
    assert len({tile.level for tile in tiles if tile.item_id == "milk"}) == 2
    assert len({tile.level for tile in tiles if tile.item_id == "rye" and tile.weight > 1}) == 1


def test_an_item_weighs_what_different_actors_did_with_it(weights: Weights) -> None:
    assert weights["milk", ""] == (2, 2)


def test_nobody_moves_an_item_by_more_than_the_cap(weights: Weights) -> None:
    assert weights["spam", ""] == (51, CAP + 10)
    assert weights["jam", ""] == (50, -CAP)


def test_a_country_has_its_own_tiles_and_its_own_cap(weights: Weights) -> None:
    assert weights["tea", ""] == (51, CAP + 1)
    assert weights["tea", "NO"] == (26, CAP + 1)
    assert weights["tea", "SE"] == (25, CAP)


def test_what_is_no_country_code_makes_no_country(weights: Weights) -> None:
    assert {country for item, country in weights if item in {"rye", "oat"}} == {""}
