"""The trending list as it would have been published at any moment of the past.

The same meaning as `feature_store.trending`, computed over columns: thousands of moments are asked
for. A test holds the two together.
"""

from __future__ import annotations

import numpy as np

from batch.history import History
from feature_store.tiles import WINDOWS
from feature_store.trending import CAP
from models.retrieval import TRENDING_WINDOW
from models.topk import top_of

WINDOW = next(window for window in WINDOWS if window.name == TRENDING_WINDOW)


class Trending:
    """Lists over the items of a history."""

    def __init__(self, history: History) -> None:
        self._known = history.known
        self._ids = history.items.ids

    def top(self, now: int, most: int) -> list[tuple[str, float]]:
        """The `most` trending items by what happened strictly before `now`, best first."""
        known, level = self._known, WINDOW.level
        first, last = np.searchsorted(known.time, [WINDOW.oldest(now), now])
        item, time = known.item[first:last], known.time[first:last]
        tile = (time - WINDOW.oldest(now)) // level.ms
        tiles = int(tile.max(initial=0)) + 1
        by_item = item * tiles + tile
        groups, inverse = np.unique(
            known.actor[first:last] * (len(self._ids) * tiles) + by_item, return_inverse=True
        )
        capped = np.clip(np.bincount(inverse, known.measures["weight"][first:last]), -CAP, CAP)
        item_tile = groups % (len(self._ids) * tiles)
        start = WINDOW.oldest(now) + item_tile % tiles * level.ms
        left = 0.5 ** ((now - start) / (WINDOW.ms / 4))
        items, place = np.unique(item_tile // tiles, return_inverse=True)
        scores = np.bincount(place, capped * left, len(items))
        best, values = top_of(items.astype(np.int32), scores.astype(np.float32), most)
        return [(self._ids[p], float(s)) for p, s in zip(best, values, strict=True)]
