"""What is trending: capped engagement per item and tile, decayed and ranked at every tick.

One actor moves one item by at most `CAP` in one tile, up or down, so neither a bot nor one keen
user can buy the list. Lists are published whole on a timer, also when traffic stops.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from pyflink.table.udf import ScalarFunction

from feature_store.stores.base import COUNTRY_SEPARATOR, Store, TrendingList, TrendingTile
from feature_store.tiles import Window
from feature_store.trending import (
    CAP,
    COUNTRY,
    EVERYWHERE,
    LISTED,
    TRENDING,
    in_country,
    scores,
    top,
)
from streaming.compiler import levels
from streaming.sinks import PatientStore

#: Ticks once a second, so that lists are published when nothing else happens.
TICKS: Final = """
CREATE TEMPORARY TABLE ticks (tick INT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '1'
)"""


def tiles(since: int) -> str:
    """Each item's capped engagement per tile: rows (ms, tile_start, member, applied, weight).

    An event of a country counts twice: everywhere, under the item's id, and in the country
    (`TrendingTile.member`), where the cap holds again.
    """
    used = sorted({window.level for window in TRENDING}, key=lambda level: level.ms)
    events = f"{levels(used, since)} WHERE item_id <> ''"
    separator = f"CHR({ord(COUNTRY_SEPARATOR)})"
    return f"""
SELECT ms, tile_start, `member`, SUM(applied) AS applied, SUM(weight) AS weight
FROM (
  SELECT actor, `member`, ms, tile_start, COUNT(*) AS applied,
    CASE WHEN SUM(weight) > {CAP} THEN CAST({CAP} AS BIGINT)
      WHEN SUM(weight) < -{CAP} THEN CAST(-{CAP} AS BIGINT) ELSE SUM(weight) END AS weight
  FROM (
    SELECT actor, item_id AS `member`, ms, tile_start, weight FROM {events}
    UNION ALL
    SELECT actor, item_id || {separator} || country AS `member`, ms, tile_start, weight
    FROM {events} AND REGEXP(country, '{COUNTRY}')
  ) GROUP BY actor, `member`, ms, tile_start
) GROUP BY `member`, ms, tile_start"""


def by_segment(
    ranked: Iterable[tuple[str, float]], categories: Mapping[str, str]
) -> dict[str, list[tuple[str, float]]]:
    """The top lists of one place: of everything, and per category."""
    lists: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for item, score in ranked:
        for segment in {EVERYWHERE, categories.get(item, EVERYWHERE)}:
            if len(lists[segment]) < LISTED:
                lists[segment].append((item, round(score, 3)))
    return dict(lists)


def publish(store: Store, window: Window, now: int) -> None:
    """Reads a window's tiles, ranks them by country and everywhere, and replaces its lists."""
    starts = range(window.oldest(now), now + 1, window.level.ms)
    tiles_of: dict[str, list[TrendingTile]] = defaultdict(list)
    for tile in store.read_trending_tiles(window.level, starts):
        tiles_of[tile.country].append(tile)
    ranked = {place: top(scores(tiles, window, now)) for place, tiles in tiles_of.items()}
    everything = ranked.pop(EVERYWHERE, [])
    lists = by_segment(everything, _categories(store, [item for item, _ in everything]))
    for country, best in ranked.items():
        lists[in_country(country)] = by_segment(best, {}).get(EVERYWHERE, [])
    store.publish_trending(TrendingList(window.name, now, lists))


class PublishTrending(ScalarFunction):  # type: ignore[misc]
    """Publishes every list at each tick that its pace asks for."""

    def __init__(self, store: PatientStore, pace_s: int) -> None:
        self._store = store
        self._pace_ms = pace_s * 1000
        self._published: dict[str, int] = {}

    def eval(self, tick: int) -> int:
        now = time.time_ns() // 1_000_000
        for window in TRENDING:
            due = self._published.get(window.name, 0) + max(self._pace_ms, window.level.ms // 360)
            if now >= due:
                self._store.call(partial(publish, window=window, now=now))
                self._published[window.name] = now
        return tick


def _categories(store: Store, items: Sequence[str]) -> dict[str, str]:
    """The broadest category of each item that has one, as of now."""
    found: dict[str, str] = {}
    for item, metadata in store.read_items(items).items():
        path = metadata.get("category")
        if isinstance(path, list) and path:
            found[item] = str(path[0])
    return found
