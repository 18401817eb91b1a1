"""What training sees at a moment is what a store would have answered then."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.asof import AsOf
from batch.item_windows import ItemWindows, windows_at
from batch.trending import WINDOW, Trending
from feature_store import trending
from feature_store.declaration import Entity
from feature_store.events import Interaction
from feature_store.stores.base import TrendingTile
from feature_store.tiles import Level, TileSet, Version
from feature_store.vectors import window_columns, window_values
from tests.builders import DAY, HOUR, MINUTE, NOON
from tests.unit.batch.builders import DECLARATION, event, history, sources

MOMENTS = st.one_of(
    st.integers(0, 40 * DAY), st.sampled_from([0, MINUTE, HOUR, DAY, 7 * DAY, 28 * DAY, 99 * DAY])
)
EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from("ab"),
        st.sampled_from("xy"),
        MOMENTS,
        st.sampled_from(["purchase", "view", "dislike"]),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=30,
)

DECAYED = window_columns(DECLARATION, Entity.ITEM).index("item_engagement_decayed")
SOMETHING = sources(history(event("a", "x", 0), event("a", "y", 0)), NOON).columns


def folded(entity: Entity, key: str, events: list[Interaction], now: int) -> TileSet:
    """The tiles of an entity from every event strictly before `now`, the slow way."""
    tiles: dict[tuple[Level, int], dict[str, Any]] = {}
    for one in (e for e in events if e.event_time < now and entity.id_of(e) == key):
        for level in DECLARATION.levels(entity):
            totals = tiles.setdefault((level, level.start(one.event_time)), {})
            for feature in DECLARATION.of(entity, level):
                feature.add(totals, one)
    return TileSet((level, start, values) for (level, start), values in tiles.items())


def test_a_faded_sum_of_nothing_is_zero_whatever_the_way_there() -> None:
    past = history(*(event("a", "x", n * DAY, quantity=3) for n in range(9)), event("a", "y", 0))
    walk = AsOf(DECLARATION, past)
    for day in range(60):
        walk.advance(NOON + day * DAY)
        if day == 20:
            assert walk.columns(SOMETHING).windows[0, DECAYED] > 0
    assert walk.columns(SOMETHING).windows[0, DECAYED] == 0.0


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.lists(MOMENTS, min_size=1, max_size=4))
def test_item_windows_and_user_tiles_equal_a_fold_up_to_the_moment(
    events: list[Interaction], moments: list[int]
) -> None:
    past = history(*events)
    walk = AsOf(DECLARATION, past)
    for now in sorted(NOON + moment for moment in moments):
        walk.advance(now)
        rows = windows_at(DECLARATION, past, now)
        for item, row in zip(past.items.ids, rows, strict=True):
            tiles = folded(Entity.ITEM, item, events, now)
            expected = window_values(DECLARATION, Entity.ITEM, tiles, now)
            np.testing.assert_allclose(row, expected, rtol=1e-6, atol=1e-6)
        for actor in past.log.actor_ids:
            tiles = folded(Entity.USER, actor, events, now)
            expected = window_values(DECLARATION, Entity.USER, tiles, now)
            seen = walk.user(actor, now)
            assert window_values(DECLARATION, Entity.USER, seen.tiles, now) == expected
            assert all(recent.event_time < now for recent in seen.recents)


def test_one_moment_column_by_column_equals_a_walk_to_it() -> None:
    kinds = ("view", "click", "add_to_cart", "purchase", "dislike", "like", "remove")
    rng = np.random.default_rng(4)
    past = history(
        *(
            event(
                f"u{rng.integers(40)}", f"i{rng.integers(5)}", int(rng.integers(50 * DAY)),
                str(rng.choice(kinds)), int(rng.integers(1, 9)), int(rng.integers(1, 999)),
            )
            for _ in range(2_000)
        )
    )  # fmt: skip
    for now in (past.end, past.end - 9 * DAY, past.end + 33 * DAY):
        walked = ItemWindows(DECLARATION, past).advance(now)
        np.testing.assert_array_equal(windows_at(DECLARATION, past, now), walked)
        assert walked.any()


def test_a_log_of_twenty_years_fades_without_overflowing() -> None:
    past = history(event("a", "x", 0), event("a", "x", 7_300 * DAY))
    row = windows_at(DECLARATION, past, past.end)[past.items.index_of["x"]]
    tiles = folded(Entity.ITEM, "x", list(past.events), past.end)
    expected = window_values(DECLARATION, Entity.ITEM, tiles, past.end)
    np.testing.assert_allclose(row, expected, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(EVENTS, MOMENTS)
def test_trending_means_what_it_means_live(events: list[Interaction], moment: int) -> None:
    past, now = history(*events), NOON + moment
    weights: dict[tuple[int, str, str], int] = {}
    for one in (e for e in events if e.event_time < now):
        start = WINDOW.level.start(one.event_time)
        if start >= WINDOW.oldest(now):
            key = (start, one.item_id, one.actor)
            weights[key] = weights.get(key, 0) + one.weight
    tiles = [
        TrendingTile(WINDOW.level, Version(start, 0, 1), item, max(-20, min(20, weight)))
        for (start, item, _), weight in weights.items()
    ]
    live = trending.top(trending.scores(tiles, WINDOW, now))
    then = Trending(past).top(now, 10)
    assert dict(then).keys() == dict(live).keys()
    np.testing.assert_allclose([s for _, s in then], [s for _, s in live], rtol=1e-5)
