"""Candidates: a few hundred items worth ranking, each tagged with the sources that offered it.

One function for training and for serving, with the same caps: a ranker must learn from the
candidates it will meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from types import MappingProxyType
from typing import Final

import numpy as np

from feature_store.lookup import Places
from feature_store.stores.base import UserState
from models.interactions import Bools, Floats, Ints, Longs
from models.own import Owned
from models.shelf import CATEGORIES
from models.sources import SOURCES, Sources
from models.topk import top

#: How many candidates each source may offer: of their own items, or of items new to the person.
CAPS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "als": 60, "own": 150, "covisitation": 50, "linear": 60, "content": 10, "shelf": 50,
        "trending": 30, "popular": 60,
    }
)  # fmt: skip
#: A source looks past at most so many items that are the person's own.
PASSED: Final = 500
#: How many of a person's strongest items ask their neighbours.
SEEDS: Final = 40
#: The published list that is read as the trending source, and its rebuilding in training.
TRENDING_WINDOW: Final = "24h"

#: Reciprocal-rank fusion, tuned on past baskets: below 4 the blend loses to own history alone.
OWN_SHARE: Final = 6.0
FUSION_RANK: Final = 5.0

Offer = tuple[Ints, Floats]


@dataclass(frozen=True)
class Candidates:
    """`positions` (n,) in `item_ids`, ascending; `scores` (n, sources), NaN where not offered.

    `owned` is what the person did so far: retrieval asked with it, ranking reads it again.
    """

    positions: Ints
    scores: Floats
    owned: Owned
    sources: tuple[str, ...] = SOURCES

    def where(self, mask: Bools) -> Candidates:
        """The candidates that a (n,) mask selects."""
        return replace(self, positions=self.positions[mask], scores=self.scores[mask])

    def offered_by(self, rows: Sequence[int]) -> list[tuple[str, ...]]:
        """For each of some candidates, the sources that offered it."""
        offered = (~np.isnan(self.scores[rows])).tolist()
        return [tuple(compress(self.sources, there)) for there in offered]

    def blended(self) -> Floats:
        """A score without a ranker, (n,): reciprocal-rank fusion, own history counting most."""
        total = np.zeros(len(self.positions), np.float32)
        for column, name in enumerate(self.sources):
            scores = self.scores[:, column]
            rank = np.argsort(np.argsort(-scores, kind="stable"), kind="stable")
            share = (OWN_SHARE if name == "own" else 1.0) / (FUSION_RANK + rank)
            total += np.where(np.isnan(scores), 0.0, share).astype(np.float32)
        return total


def retrieve(
    sources: Sources,
    user: UserState,
    now: int,
    trending: Sequence[tuple[str, float]] = (),
    caps: Mapping[str, int] = CAPS,
) -> Candidates:
    """The union of what every source offers `user` as of `now` (ms).

    What is the person's own is offered by `own`; the other sources say what they think of it on
    the way to their cap of items that are new. `trending` is a published list, best first; its
    score is 1/rank, because the counts behind two lists of different days do not compare.
    """
    owned = sources.own.of(user.actor, user.recents, sources.index_of, now)
    limits = {name: caps[name] for name in SOURCES}
    far = {name: cap + min(len(owned.items), PASSED) for name, cap in limits.items()}
    popular, popularity = sources.popular
    offers = {
        "als": sources.als.candidates(owned.items, owned.strengths, far["als"]),
        "trending": _trending(trending, sources.index_of, far["trending"]),
        "popular": (popular[: far["popular"]], popularity[: far["popular"]]),
    }
    retriever = sources.retriever
    if retriever:
        found = retriever.union(owned, offers, limits, far, SEEDS, CATEGORIES)
    else:
        found = union_by_numpy(sources, owned, offers, limits, far)
    return Candidates(*found, owned)


def union_by_numpy(
    sources: Sources,
    owned: Owned,
    offers: Mapping[str, Offer],
    caps: Mapping[str, int],
    far: Mapping[str, int],
) -> Offer:
    """`Retriever.union` where there is no compiler, and what it is held against."""
    items, strengths = owned.items, owned.strengths
    asked = {
        "covisitation": sources.covisitation.candidates(
            items, strengths, SEEDS, far["covisitation"]
        ),
        "linear": sources.linear.candidates(items, strengths, far["linear"]),
        "content": sources.content.candidates(items, strengths, SEEDS, far["content"]),
        "shelf": sources.shelf.candidates(items, strengths, far["shelf"]),
    }
    return _union(_offered({**offers, **asked}, owned, caps))


@dataclass(frozen=True, slots=True)
class _Offers:
    """Offers one after the other: of an item, by the source with this number, with this score."""

    items: Ints
    source: Ints
    scores: Floats


def _offered(offers: Mapping[str, Offer], owned: Owned, caps: Mapping[str, int]) -> _Offers:
    """Each offer, best first, up to its cap-th item that is not owned, and the strongest own ones.

    Of the person's own items, those that are too weak for `own` are nobody's.
    """
    strongest, strength = top(owned.strengths, caps["own"])
    strong = np.zeros(len(owned.items), np.bool_)
    strong[strongest] = True
    weak = (owned.strengths > 0) & ~strong
    lengths = [len(items) for items, _ in offers.values()]
    items = np.concatenate([items for items, _ in offers.values()])
    own = Places.of(items, owned.items)
    new = np.concatenate([[0], np.cumsum(~own.there)])
    ends = np.cumsum(lengths)
    most = new[ends - lengths] + [caps[name] for name in offers]
    kept = new[1:] <= np.repeat(most, lengths)
    if len(weak):
        kept &= ~(own.there & weak.take(own.rows, mode="clip"))
    numbers = [SOURCES.index(name) for name in offers]
    return _Offers(
        np.concatenate([items[kept], owned.items[strongest]]),
        np.repeat([*numbers, SOURCES.index("own")], [*_kept(kept, ends), len(strongest)]),
        np.concatenate([np.concatenate([s for _, s in offers.values()])[kept], strength]),
    )


def _trending(listed: Sequence[tuple[str, float]], index_of: Mapping[str, int], cap: int) -> Offer:
    known = [index_of[item] for item, _ in listed[: 2 * cap] if item in index_of][:cap]
    return np.asarray(known, np.int32), 1 / np.arange(1, len(known) + 1, dtype=np.float32)


def _kept(kept: Bools, ends: Longs) -> Longs:
    """How many of each run are kept; run r ends before `ends[r]`."""
    return np.diff(np.concatenate([[0], np.cumsum(kept)])[ends], prepend=0)


def _union(offers: _Offers) -> Offer:
    """Every item offered, ascending, and what each source scored it: NaN where it did not."""
    positions, row = np.unique(offers.items, return_inverse=True)
    scores = np.full((len(positions), len(SOURCES)), np.nan, np.float32)
    scores[row, offers.source] = offers.scores
    return positions.astype(np.int32, copy=False), scores
