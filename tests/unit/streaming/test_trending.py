"""Trending: what one list is made of, and that nobody can buy it."""

from __future__ import annotations

from feature_store.declaration import Entity
from feature_store.stores.base import Record, TrendingTile
from feature_store.stores.memory import MemoryStore
from feature_store.tiles import HOUR_1, MINUTE, Version
from streaming import trending
from tests.builders import MINUTE as A_MINUTE
from tests.builders import NOON


def tile(item: str, weight: int, minutes_ago: int = 0, country: str = "") -> TrendingTile:
    version = Version(NOON - minutes_ago * A_MINUTE, 0, 1)
    return TrendingTile(MINUTE, version, item, weight, country)


def published(*tiles: TrendingTile, now: int = NOON + 1) -> dict[str, list[str]]:
    store = MemoryStore()
    store.write_trending_tiles(tiles)
    metadata = '{"category":["dairy","milk"]}'
    store.write_records([Record(Entity.ITEM, "milk", Version(NOON, 0, 0), metadata)])
    trending.publish(store, HOUR_1, now)
    lists = store.read_trending("1h")
    assert lists is not None
    return {segment: [item for item, _ in top] for segment, top in lists.segments.items()}


def test_the_most_engaging_item_leads_overall_and_in_its_category() -> None:
    assert published(tile("tea", 5), tile("milk", 9)) == {"": ["milk", "tea"], "dairy": ["milk"]}


def test_a_country_has_a_list_of_what_happened_there() -> None:
    tiles = (tile("tea", 9), tile("jam", 5), tile("jam", 4, country="NO"), tile("tea", 1, 2, "NO"))
    assert published(*tiles) == {"": ["tea", "jam"], "country:NO": ["jam", "tea"]}


def test_engagement_of_an_hour_ago_weighs_less_than_that_of_now() -> None:
    assert published(tile("milk", 9, minutes_ago=55), tile("tea", 5))[""] == ["tea", "milk"]


def test_what_left_the_window_is_not_listed() -> None:
    assert published(tile("milk", 9, minutes_ago=61), tile("tea", 1)) == {"": ["tea"]}


def test_disliked_items_do_not_trend() -> None:
    assert published(tile("milk", -5), tile("tea", 1)) == {"": ["tea"]}


def test_a_list_is_published_when_nothing_happens() -> None:
    assert published() == {}


def test_items_of_equal_weight_keep_one_order() -> None:
    assert published(tile("b", 5), tile("a", 5), tile("c", 5))[""] == ["a", "b", "c"]
