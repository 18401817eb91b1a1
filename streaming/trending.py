"""What is trending: capped engagement per item and tile, decayed and ranked at every tick.

One actor moves one item by at most `CAP` in one tile, up or down, so that no burst of one user
buys the list; who keeps on is heard once in every tile. Lists are published whole on a timer, also
when traffic stops.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Final

from pyflink.table.udf import FunctionContext, ScalarFunction

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

#: Tiles of a window that are read at each publication; the other ones once in `TURN_MS`.
NEWEST: Final = 2
TURN_MS: Final = 60_000


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
    FROM {events} AND CHAR_LENGTH(country) = 2 AND REGEXP(country, '{COUNTRY}')
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


class Publisher:
    """Publishes one window's lists from its tiles, and keeps those in memory.

    The newest tiles are read each time, the others in turn: what was written to one of them, a late
    event, is listed within `TURN_MS` and one pace.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        #: By start, the one that was not read for longest first.
        self._tiles: dict[int, list[TrendingTile]] = {}
        self._read_at = 0

    def publish(self, store: Store, now: int) -> None:
        """Ranks the window's tiles by country and everywhere, and replaces its lists."""
        tiles_of: dict[str, list[TrendingTile]] = defaultdict(list)
        for tile in self._read(store, now):
            tiles_of[tile.country].append(tile)
        ranked = {place: top(scores(tiles, self._window, now)) for place, tiles in tiles_of.items()}
        everything = ranked.pop(EVERYWHERE, [])
        lists = by_segment(everything, _categories(store, [item for item, _ in everything]))
        for country, best in ranked.items():
            lists[in_country(country)] = by_segment(best, {}).get(EVERYWHERE, [])
        store.publish_trending(TrendingList(self._window.name, now, lists))

    def _read(self, store: Store, now: int) -> Iterator[TrendingTile]:
        """Every tile of the window, the oldest first."""
        starts = range(self._window.oldest(now), now + 1, self._window.level.ms)
        kept = {start: tiles for start, tiles in self._tiles.items() if start in starts}
        turn = math.ceil(len(starts) * max(0, now - self._read_at) / TURN_MS)
        again = {*starts[-NEWEST:], *islice(kept, turn), *(set(starts) - kept.keys())}
        read: dict[int, list[TrendingTile]] = {start: [] for start in sorted(again)}
        for tile in store.read_trending_tiles(self._window.level, list(read)):
            read[tile.version.moment].append(tile)
        self._tiles = {s: tiles for s, tiles in kept.items() if s not in read} | read
        self._read_at = now
        return chain.from_iterable(self._tiles[start] for start in starts)


class PublishTrending(ScalarFunction):  # type: ignore[misc]
    """Publishes every list at each tick that its pace asks for.

    A store that is down is not waited for within a tick: the next one publishes what is due, and
    between two ticks Flink hears that the store is down, also when there is no traffic.
    """

    def __init__(self, store: PatientStore, pace_s: int) -> None:
        self._store = store
        self._pace_ms = pace_s * 1000
        self._publishers = {window: Publisher(window) for window in TRENDING}
        self._published: dict[Window, int] = {}

    def open(self, context: FunctionContext) -> None:
        metrics = context.get_metric_group()
        metrics.gauge("millrace_store_down", lambda: int(self._store.down))
        self._store.count_waits(metrics)

    def eval(self, tick: int) -> int:
        now = time.time_ns() // 1_000_000
        for window, publisher in self._publishers.items():
            due = self._published.get(window, 0) + max(self._pace_ms, window.level.ms // 1200)
            if now >= due:
                if not self._store.attempt(partial(publisher.publish, now=now)):
                    break
                self._published[window] = now
        return tick


def _categories(store: Store, items: Sequence[str]) -> dict[str, str]:
    """The broadest category of each item that has one, as of now."""
    found: dict[str, str] = {}
    for item, metadata in store.read_items(items).items():
        path = metadata.get("category")
        if isinstance(path, list) and path:
            found[item] = str(path[0])
    return found
