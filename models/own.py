"""A person's own history, decayed: the strongest single source where people buy again.

Counts visits, not lines or quantities. Last night's sums lie in the bundle; what happened since
is added from the live recents, so the first click already counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feature_store.events import WEIGHTS
from feature_store.stores.base import Recent
from models.interactions import Floats, Interactions, Ints, Longs, Visits, decay, visits


@dataclass(frozen=True)
class OwnHistory:
    """Strength by (actor, item) as of `cut_ms`, as sparse rows sorted by actor.

    Row r is `items[indptr[r]:indptr[r + 1]]` with `strengths` alike; `last` (rows,) is the actor's
    newest event counted (ms), so whatever came later, even late, is fresh. One purchase a moment
    ago has strength 1; it halves every `half_life_days`.
    """

    cut_ms: int
    half_life_days: float
    row_of: Mapping[str, int]
    indptr: Longs
    items: Ints
    strengths: Floats
    last: Longs

    def of(
        self, actor: str, recents: Sequence[Recent], index_of: Mapping[str, int], now: int
    ) -> tuple[Ints, Floats]:
        """The actor's items and strengths as of `now` (ms): last night's and what came since."""
        row = self.row_of.get(actor)
        items, strengths = self._nightly(row, now)
        fresh = _fresh(recents, index_of, 0 if row is None else int(self.last[row]) + 1)
        if fresh is None:
            return items, strengths
        added = fresh.strength * decay((now - fresh.start).astype(np.float64), self.half_life_days)
        together = np.concatenate([items, fresh.item])
        unique, inverse = np.unique(together, return_inverse=True)
        total = np.bincount(inverse, np.concatenate([strengths, added]), len(unique))
        return unique.astype(np.int32), total.astype(np.float32)

    def _nightly(self, row: int | None, now: int) -> tuple[Ints, Floats]:
        if row is None:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        part = slice(self.indptr[row], self.indptr[row + 1])
        left = decay(np.asarray(now - self.cut_ms, np.float64), self.half_life_days)
        return np.asarray(self.items[part]), np.asarray(self.strengths[part]) * left


def fit(log: Interactions, cut_ms: int, half_life_days: float) -> OwnHistory:
    """Sums the decayed visits of a log that ends before `cut_ms`."""
    seen = visits(log)
    worth = seen.strength * decay((cut_ms - seen.start).astype(np.float64), half_life_days)
    width = int(seen.item.max(initial=0)) + 1
    keys = seen.actor.astype(np.int64) * width + seen.item
    unique, inverse = np.unique(keys, return_inverse=True)
    totals = np.bincount(inverse, worth, len(unique)).astype(np.float32)
    actors = unique // width
    present, counts = np.unique(actors, return_counts=True)
    return OwnHistory(
        cut_ms=cut_ms,
        half_life_days=half_life_days,
        row_of={log.actor_ids[code]: row for row, code in enumerate(present)},
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        items=(unique % width).astype(np.int32),
        strengths=totals,
        last=_newest(log)[present],
    )


def _newest(log: Interactions) -> Longs:
    """Each actor's newest event time, (actors,)."""
    newest = np.zeros(len(log.actor_ids), np.int64)
    np.maximum.at(newest, log.actor, log.time)
    return newest


def _fresh(recents: Sequence[Recent], index_of: Mapping[str, int], since: int) -> Visits | None:
    """The visits among live recents that the nightly sums do not hold yet."""
    rows = [
        (index_of[r.item_id], r.event_time, WEIGHTS.get(r.type, 0))
        for r in recents
        if r.event_time >= since and r.item_id in index_of
    ]
    if not rows:
        return None
    item, time, weight = np.asarray(rows, dtype=np.int64).T
    nobody, nothing = np.zeros(len(rows), np.int32), np.zeros(len(rows), np.int64)
    return visits(Interactions.build(("",), nobody, item, time, weight, nothing))
