"""What trending means: capped engagement, halved with age, ranked. The same live and as of then."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from feature_store.stores.base import TrendingTile
from feature_store.tiles import DAY_1, HOUR_1, MINUTES_5, Level, Version, Window

#: The windows that have a list.
TRENDING: Final = (MINUTES_5, HOUR_1, DAY_1)
#: The lists that the nightly publishes the same way: what sells, decayed over weeks. The last rung.
POPULAR: Final = "popular"
#: Two purchases' worth of engagement: what one actor may add to one item in one tile.
CAP: Final = 20
#: How many items overall are looked up for their categories.
CONSIDERED: Final = 1000
#: How many of them a published list names.
LISTED: Final = 50
#: Segments: everything, one broadest category by its own name, one country.
EVERYWHERE: Final = ""
#: What counts as a country; what else an event may say makes no list.
COUNTRY: Final = "^[A-Z]{2}$"


class Engagement(NamedTuple):
    """What of an interaction makes a trend; times in ms."""

    actor: str
    item_id: str
    country: str
    weight: int
    event_time: int
    append_time: int


def fold(events: Iterable[Engagement], epoch: int = 0) -> Iterator[TrendingTile]:
    """The tiles of interactions that count, each given once: what Flink's SQL is held against.

    An event of a country counts there too, and each actor is capped there again.
    """
    #: Of each tile, by actor: how many events, and what they weigh.
    shares: dict[tuple[Level, int, str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
    levels = {window.level for window in TRENDING}
    for event in events:
        places = [EVERYWHERE, *([event.country] if re.fullmatch(COUNTRY, event.country) else [])]
        for level in levels:
            if event.item_id and event.append_time - event.event_time <= level.span_ms:
                for place in places:
                    tile = shares[level, level.start(event.event_time), event.item_id, place]
                    count, weight = tile.get(event.actor, (0, 0))
                    tile[event.actor] = count + 1, weight + event.weight
    for (level, start, item, place), actors in shares.items():
        version = Version.of_tile(start, epoch, sum(count for count, _ in actors.values()))
        weight = sum(max(-CAP, min(CAP, mine)) for _, mine in actors.values())
        yield TrendingTile(level, version, item, weight, place)


def in_country(country: str) -> str:
    """The segment of a country."""
    return f"country:{country}"


def scores(tiles: Iterable[TrendingTile], window: Window, now: int) -> dict[str, float]:
    """Engagement per item in the window that ends at `now`, halved every quarter of the window."""
    half_life = window.ms / 4
    totals: dict[str, float] = defaultdict(float)
    for tile in tiles:
        age = max(0, now - tile.version.moment)
        totals[tile.item_id] += tile.weight * 0.5 ** (age / half_life)
    return totals


def top(totals: Mapping[str, float]) -> list[tuple[str, float]]:
    """The items considered, the most engaging first."""
    liked = ((item, score) for item, score in totals.items() if score > 0)
    return sorted(liked, key=lambda entry: (-entry[1], entry[0]))[:CONSIDERED]
