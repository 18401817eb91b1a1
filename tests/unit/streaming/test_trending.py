"""Trending: what one list is made of, and that nobody can buy it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import pytest

from feature_store.declaration import Entity
from feature_store.stores.base import Record, TrendingTile
from feature_store.stores.memory import MemoryStore
from feature_store.tiles import DAY_1, HOUR_1, MINUTE, Level, Version, Window
from feature_store.trending import LISTED, TRENDING, scores, top
from streaming import trending
from streaming.job import DEPLOYMENTS
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
    trending.Publisher(HOUR_1).publish(store, now)
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


A_SECOND = 1000


class CountingStore(MemoryStore):
    """Remembers which tiles each read asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def read_trending_tiles(self, level: Level, starts: Sequence[int]) -> list[TrendingTile]:
        self.asked.append(len(starts))
        return super().read_trending_tiles(level, starts)

    def attempt(self, work: Callable[[MemoryStore], None]) -> bool:
        """As a `PatientStore` that is never down."""
        work(self)
        return True

    def top(self, window: Window) -> list[tuple[str, float]]:
        listed = self.read_trending(window.name)
        assert listed is not None
        return list(listed.segments.get("", ()))


def expected(tiles: Iterable[TrendingTile], window: Window, now: int) -> list[tuple[str, float]]:
    """The reference over every tile of the window."""
    held = [one for one in tiles if window.oldest(now) <= one.version.moment <= now]
    ranked = top(scores(held, window, now))[:LISTED]
    return [(item, round(score, 3)) for item, score in ranked]


def test_after_the_last_event_every_list_fades_and_ends_as_the_reference_says() -> None:
    draws, store, publisher = random.Random(7), CountingStore(), trending.Publisher(HOUR_1)
    tiles: list[TrendingTile] = []
    for now in range(NOON, NOON + 3 * HOUR_1.ms, 10 * A_SECOND):
        minute = MINUTE.start(now)
        if now < NOON + HOUR_1.ms and now == minute:
            fresh = [
                TrendingTile(MINUTE, Version(minute, 0, 1), f"i{n}", draws.randint(-3, 20))
                for n in draws.sample(range(9), 3)
            ]
            store.write_trending_tiles(fresh)
            tiles += fresh
        publisher.publish(store, now)
        assert store.top(HOUR_1) == expected(tiles, HOUR_1, now)
    assert store.top(HOUR_1) == []


@pytest.mark.parametrize("minutes_ago", [0, 1, 2, 30, 59])
def test_an_event_is_listed_at_once_and_a_late_one_within_a_minute(minutes_ago: int) -> None:
    store, publisher = CountingStore(), trending.Publisher(HOUR_1)
    for now in range(NOON - A_MINUTE, NOON, A_SECOND):
        publisher.publish(store, now)
    store.write_trending_tiles([tile("tea", 5, minutes_ago)])
    for now in range(NOON, NOON + 3 * A_MINUTE, A_SECOND):
        publisher.publish(store, now)
        if store.top(HOUR_1):
            break
    assert now - NOON <= (0 if minutes_ago < 2 else A_MINUTE)


def test_a_list_costs_the_tiles_that_may_have_changed() -> None:
    store, publisher = CountingStore(), trending.Publisher(HOUR_1)
    for second in range(600):
        publisher.publish(store, NOON + second * A_SECOND)
    assert store.asked[0] == 61
    assert max(store.asked[1:]) <= 5


def test_no_event_waits_five_seconds_for_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    store = CountingStore()
    job = trending.PublishTrending(store, DEPLOYMENTS["hot"].trending_pace_s)  # type: ignore[arg-type]
    published: dict[str, set[int]] = {window.name: {NOON} for window in TRENDING}
    for second in range(120):
        now = NOON + second * A_SECOND + second % 7  # a tick is never on time
        monkeypatch.setattr(trending.time, "time_ns", lambda now=now: now * 1_000_000)
        job.eval(second)
        for name, times in published.items():
            listed = store.read_trending(name)
            assert listed is not None
            times.add(listed.published_at)
    for times in published.values():
        # The rest of the five is for the way of an event to its tile.
        assert max(later - one for one, later in pairwise(sorted(times))) < 4.1 * A_SECOND
        assert max(times) > NOON + 115 * A_SECOND
    assert DAY_1 in TRENDING
