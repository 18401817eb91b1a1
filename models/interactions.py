"""The interaction log as columns: what every candidate source is fitted from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from feature_store.sessions import SESSION_GAP_MS

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interactions:
    """Interactions with known items, sorted by (actor, time), one row each.

    `actor` and `item` are positions in `actor_ids` and in the bundle's `item_ids`; `time` is in
    ms; `weight` as in `events.WEIGHTS`; `session` numbers each actor's visits in order of time.
    """

    actor_ids: tuple[str, ...]
    actor: Ints
    item: Ints
    time: Longs
    weight: Longs
    price_minor: Longs
    session: Longs

    @classmethod
    def build(
        cls,
        actor_ids: Sequence[str],
        actor: npt.ArrayLike,
        item: npt.ArrayLike,
        time: npt.ArrayLike,
        weight: npt.ArrayLike,
        price_minor: npt.ArrayLike,
    ) -> Interactions:
        """Sorts the rows and numbers the sessions; all arrays are (rows,)."""
        actors, times = np.asarray(actor, np.int32), np.asarray(time, np.int64)
        order = np.lexsort((times, actors))
        actors, times = actors[order], times[order]
        return cls(
            tuple(actor_ids),
            actors,
            np.asarray(item, np.int32)[order],
            times,
            np.asarray(weight, np.int64)[order],
            np.asarray(price_minor, np.int64)[order],
            sessions(actors, times),
        )

    def __len__(self) -> int:
        return len(self.time)

    def before(self, moment: int) -> Interactions:
        """The rows strictly earlier than `moment` (ms)."""
        return self.where(self.time < moment)

    def where(self, mask: Bools) -> Interactions:
        """The rows that a (rows,) mask selects."""
        columns = {f.name: getattr(self, f.name)[mask] for f in fields(self)[1:]}
        return replace(self, **columns)


def sessions(actors: Ints, times: Longs) -> Longs:
    """Numbers visits: a new one starts with another actor or after a pause of 30 minutes.

    Rows are sorted by (actor, time). A number depends on earlier rows only, so cutting the log
    in time leaves it as it is.
    """
    starts = np.ones(len(times), dtype=bool)
    starts[1:] = (actors[1:] != actors[:-1]) | (np.diff(times) > SESSION_GAP_MS)
    return np.cumsum(starts, dtype=np.int64)


@dataclass(frozen=True)
class Visits:
    """Distinct (session, item) pairs: what a person did with an item in one visit, once.

    `start` is when the session began (ms). `strength` is the strongest event's weight, less the
    strongest refusal, in units of one purchase: quantities and repeated lines do not count.
    `bought` says whether a purchase was among it.
    """

    actor: Ints
    item: Ints
    session: Longs
    start: Longs
    strength: Floats
    bought: Bools


def visits(log: Interactions) -> Visits:
    """Groups a log into visits."""
    if not len(log):
        nothing, never = np.zeros(0, np.float32), np.zeros(0, np.bool_)
        return Visits(log.actor, log.item, log.session, log.time, nothing, never)
    order = np.lexsort((log.item, log.session))
    item, session, weight = log.item[order], log.session[order], log.weight[order]
    first = np.ones(len(item), dtype=bool)
    first[1:] = (item[1:] != item[:-1]) | (session[1:] != session[:-1])
    rows = np.flatnonzero(first)
    liked = np.maximum(np.maximum.reduceat(weight, rows), 0)
    refused = np.minimum(np.minimum.reduceat(weight, rows), 0)
    return Visits(
        actor=log.actor[order][rows],
        item=item[rows],
        session=session[rows],
        start=_session_starts(log)[order][rows],
        strength=((liked + refused) / PURCHASE).astype(np.float32),
        bought=liked >= PURCHASE,
    )


#: The weight of one purchase: the unit of strength.
PURCHASE = 10


def decay(age_ms: npt.NDArray[np.float64], half_life_days: float) -> Floats:
    """How much of something is left after `age_ms`; what is not past yet counts in full."""
    days = np.maximum(age_ms, 0) / 86_400_000
    left: Floats = np.exp2(-days / half_life_days).astype(np.float32)
    return left


def _session_starts(log: Interactions) -> Longs:
    first = np.ones(len(log), dtype=bool)
    first[1:] = log.session[1:] != log.session[:-1]
    starts: Longs = log.time[np.flatnonzero(first)][np.cumsum(first) - 1]
    return starts
