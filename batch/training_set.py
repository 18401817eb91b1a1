"""The training set: one query a basket, everything known strictly before its first line.

Candidates come from `models.retrieval` under serving's caps; an item that retrieval missed is
never added, and stays in the denominator of NDCG.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from batch.asof import AsOf
from batch.history import History
from feature_store.declaration import Declaration
from feature_store.events import WEIGHTS
from models.interactions import Floats, Ints, Longs
from models.retrieval import Candidates, retrieve
from models.rows import rows
from models.sources import Sources

SEED = 11


@dataclass(frozen=True, slots=True)
class Basket:
    """What one actor took in one visit: a query at `moment` (ms) and its answers (positions).

    Of a list that was shown, only what was `looked` at can be judged; None for any candidate.
    """

    actor: str
    moment: int
    wanted: frozenset[int]
    looked: frozenset[int] | None = None


@dataclass(frozen=True)
class Query:
    """A basket with its candidates and their columns, as of the basket's moment."""

    basket: Basket
    candidates: Candidates
    rows: Floats

    @property
    def labels(self) -> Ints:
        """1 for a candidate that was taken, (candidates,)."""
        wanted = np.fromiter(self.basket.wanted, np.int32)
        return np.isin(self.candidates.positions, wanted).astype(np.int32)


def discovery(query: Query) -> Query | None:
    """The same question about what is new to the person, as `mode=discover` asks it.

    None where everything taken was known to them.
    """
    known = query.candidates.owned.items
    wanted = query.basket.wanted.difference(known.tolist())
    if not wanted:
        return None
    new = ~np.isin(query.candidates.positions, known)
    left = query.candidates.where(new)
    return Query(replace(query.basket, wanted=wanted), left, query.rows[new])


def baskets(history: History, since: int, until: int) -> list[Basket]:
    """The baskets that begin in [since, until), in order of time.

    A basket is what was bought in one session; in a log without purchases, what was liked in any
    way.
    """
    log = history.log
    bought = log.weight >= WEIGHTS["purchase"]
    taken = log.where(bought if bought.any() else log.weight > 0)
    if not len(taken):
        return []
    starts = np.flatnonzero(np.diff(taken.session, prepend=-1))
    moments: Longs = taken.time[starts]
    groups = np.split(taken.item, starts[1:])
    found = [
        Basket(taken.actor_ids[taken.actor[start]], int(moment), frozenset(map(int, items)))
        for start, moment, items in zip(starts, moments, groups, strict=True)
        if since <= moment < until
    ]
    return in_order(found)


def in_order(found: Iterable[Basket]) -> list[Basket]:
    """By time, as a walk through history meets them."""
    return sorted(found, key=lambda basket: (basket.moment, basket.actor))


def sample(found: Sequence[Basket], most: int) -> list[Basket]:
    """At most `most` of them, drawn with a fixed seed, still in order."""
    if len(found) <= most:
        return list(found)
    picked = np.random.default_rng(SEED).choice(len(found), most, replace=False)
    return [found[position] for position in np.sort(picked)]


def build(
    declaration: Declaration,
    history: History,
    sources: Sources,
    asked: Sequence[Basket],
    walk: AsOf | None = None,
) -> list[Query]:
    """The queries of baskets in order of time; raises `ValueError` for one before the cut.

    Sources that had seen a basket would promise what they cannot keep. A `walk` through the same
    history that has not come further than the first basket saves beginning one.
    """
    if asked and asked[0].moment < sources.cut_ms:
        raise ValueError(
            f"A basket at {asked[0].moment} lies before the cut {sources.cut_ms} of the sources: "
            "fit them earlier, or ask for later baskets."
        )
    walk = walk or AsOf(declaration, history)
    return [_query(declaration, sources, walk, basket) for basket in asked]


def _query(declaration: Declaration, sources: Sources, walk: AsOf, basket: Basket) -> Query:
    now = basket.moment
    walk.advance(now)
    user = walk.user(basket.actor, now)
    found = retrieve(sources, user, now, walk.trending(now))
    if basket.looked is not None:
        found = found.where(np.isin(found.positions, list(basket.looked)))
    items = walk.columns(sources.columns)
    return Query(basket, found, rows(declaration, sources, items, user, found, now))
