"""Tiles: levels, rings, versions, and the windows read from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_store.aggregates import Count, Sum
from feature_store.declaration import Declaration, Entity, Feature
from feature_store.reference import fold, ring
from feature_store.tiles import (
    BASE,
    DAY,
    DAY_1,
    DAY_MS,
    DAYS_7,
    DAYS_28,
    DECAYED,
    HOUR,
    HOUR_1,
    LEVELS,
    LIFETIME,
    MINUTE,
    MINUTES_5,
    WINDOWS,
    Level,
    Tile,
    TileSet,
    Version,
    Window,
    encode_body,
    replay_since,
)
from tests.builders import MINUTE as A_MINUTE
from tests.builders import NOON, log_of, view

versions = st.builds(
    Version, st.integers(0, 10**14), st.integers(0, 65_535), st.integers(0, 10**11)
)


@given(versions, versions)
def test_versions_order_as_text_as_they_do_as_numbers(one: Version, other: Version) -> None:
    assert (one < other) == (one.encode() < other.encode())
    assert Version.decode(one.encode()) == one


def test_a_generation_counts_less_than_one_event_and_less_than_an_epoch() -> None:
    versions = [
        Version.of_tile(NOON, 0, applied=8, generation=999),
        Version.of_tile(NOON, 0, applied=9),
        Version.of_tile(NOON, 0, applied=9, generation=1),
        Version.of_tile(NOON, 1, applied=1),
    ]
    assert sorted(versions) == versions
    assert [version.applied for version in versions] == [8, 9, 9, 1]


def test_a_replay_starts_at_a_day_at_least_the_horizon_back() -> None:
    assert replay_since(NOON, horizon_ms=HOUR.ms) == DAY.start(NOON)
    assert replay_since(NOON, horizon_ms=13 * HOUR.ms) == DAY.start(NOON) - DAY_MS


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.name)
def test_a_ring_is_long_enough_for_every_window_that_reads_it(window: Window) -> None:
    assert window.ms + window.level.ms <= window.level.span_ms


@given(st.integers(0, 2 * 10**12), st.sampled_from(LEVELS))
def test_two_live_tiles_never_share_a_slot(moment: int, level: Level) -> None:
    start = level.start(moment)
    slots = {level.slot(start + n * level.ms) for n in range(level.slots)}
    assert len(slots) == level.slots


def test_a_tile_survives_its_encoding() -> None:
    tile = Tile("user", "ann", HOUR, Version(NOON, 2, 7), encode_body({"views": 3, "carts": 0}))
    assert tile.encode().endswith('{"views":3}')
    assert Tile.decode("user", "ann", HOUR.slot(NOON), tile.encode()) == tile


def test_windows_slide_when_no_event_arrives() -> None:
    feature = Feature("views", Entity.USER, ("view",), Count(), (MINUTES_5,))
    tiles = TileSet([(MINUTE, NOON, {"views": 2})])
    ages = {
        minutes: feature.value(tiles, MINUTES_5, NOON + minutes * A_MINUTE) for minutes in range(8)
    }
    assert ages == {0: 2, 1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 0, 7: 0}


@given(
    st.lists(st.integers(0, 40 * DAY_MS), max_size=60),
    st.sampled_from((HOUR_1, DAY_1, DAYS_7, DAYS_28)),
)
def test_a_window_is_a_count_of_the_log(ages: list[int], window: Window) -> None:
    now = NOON + 7_654_321
    feature = Feature("views", Entity.USER, ("view",), Count(), (window,))
    sent = [view("ann", "milk", at=now - age) for age in ages]
    kept = ring(fold(Declaration((feature,)), log_of(sent), 100 * DAY_MS).tiles())
    fields = {slot: t.encode() for (entity, _, slot), t in kept.items() if entity == "user"}
    expected = sum(window.oldest(now) <= now - age for age in ages)
    assert feature.value(TileSet.from_ring(fields), window, now) == expected


def test_what_fades_is_halved_with_every_week() -> None:
    feature = Feature("engagement", Entity.ITEM, ("view",), Sum("weight"), (DECAYED,))
    today = DAY.start(NOON)
    tiles = TileSet([(DAY, today - days * DAY_MS, {"engagement": 8}) for days in (0, 7, 14, 29)])
    assert feature.value(tiles, DECAYED, NOON) == 8 + 4 + 2


def test_a_lifetime_is_the_base_and_the_days_after_it() -> None:
    feature = Feature("views", Entity.USER, ("view",), Count(), (LIFETIME,))
    today = DAY.start(NOON)
    days = [(DAY, today - days * DAY_MS, {"views": 1}) for days in range(5)]
    assert feature.value(TileSet(days), LIFETIME, NOON) == 5
    base = (BASE, today - 2 * DAY_MS, {"views": 100})
    assert feature.value(TileSet([*days, base]), LIFETIME, NOON) == 100 + 3


def test_a_later_base_takes_the_place_of_an_earlier_one() -> None:
    earlier, later = (
        Tile("user", "ann", BASE, Version.of_tile(day * DAY_MS, 0, 9), "{}") for day in (7, 8)
    )
    assert list(ring([later, earlier]).values()) == [later]


def test_the_ring_keeps_the_newest_tile_of_a_slot() -> None:
    old, new = (
        Tile("user", "ann", DAY, Version(n * DAY.slots * DAY_MS, 0, 9), "{}") for n in (1, 2)
    )
    assert list(ring([new, old]).values()) == [new]
