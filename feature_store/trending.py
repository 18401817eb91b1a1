"""What trending means: capped engagement, halved with age, ranked. The same live and as of then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from feature_store.stores.base import TrendingTile
from feature_store.tiles import DAY_1, HOUR_1, MINUTES_5, Window

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
