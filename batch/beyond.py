"""What accuracy does not say: reach, surprise, variety, calibration; what each source is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Final

import numpy as np

from batch.lists import Ranked, alone, mean_ndcg, ranked
from batch.training_set import Query, discovery
from models.diversity import mmr
from models.evaluation import (
    coverage,
    diversity,
    head_share,
    mean_by_user,
    miscalibration,
    novelty,
)
from models.interactions import Ints
from models.ranker import Ranker
from models.rows import SCORES
from models.sources import SOURCES, Sources

#: The budget: so many baskets of the test, spread evenly. Each is ranked once for every source.
BASKETS: Final = 500
#: The weights of variety whose price in NDCG is measured.
MMR_WEIGHTS: Final = (0.0, 0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True)
class Beyond:
    """Averages over people of the served lists at `k`, but for coverage, novelty and head share.

    `discover` is the NDCG of what is new to the person, by list. `mmr` is by weight: (diversity,
    NDCG). `without` is the NDCG of serving without one source, by the same ranker.
    """

    k: int
    coverage: float
    novelty_bits: float
    head_share: float
    diversity: float
    miscalibration: float
    discover: Mapping[str, float]
    mmr: Mapping[float, tuple[float, float]]
    without: Mapping[str, float]

    def flat(self) -> dict[str, float]:
        """As MLflow metrics; what nobody has a figure for is left out."""
        plain = ("coverage", "novelty_bits", "head_share", "diversity", "miscalibration")
        found = {
            **{name: getattr(self, name) for name in plain},
            **{f"ndcg_new_{name}": value for name, value in self.discover.items()},
            **{f"ndcg_mmr_{weight}": ndcg for weight, (_, ndcg) in self.mmr.items()},
            **{f"diversity_mmr_{weight}": kinds for weight, (kinds, _) in self.mmr.items()},
            **{f"ndcg_without_{name}": value for name, value in self.without.items()},
        }
        return {name: value for name, value in found.items() if np.isfinite(value)}


def beyond(
    test: Sequence[Ranked], ranker: Ranker | None, sources: Sources, k: int
) -> Beyond | None:
    """Of lists as serving would make them, of at most `BASKETS` of the test; None without any."""
    if not test:
        return None
    some = test[:: -(-len(test) // BASKETS)]
    lists, kinds = [one.best(k) for one in some], sources.columns.category
    users = [one.query.basket.actor for one in some]
    off = [_off(one.query, shown, kinds, k) for one, shown in zip(some, lists, strict=True)]
    known = np.isfinite(off)
    return Beyond(
        k=k,
        coverage=coverage(lists, len(sources.item_ids), k),
        novelty_bits=novelty(lists, sources.popularity, k),
        head_share=head_share(lists, sources.popularity, k),
        diversity=mean_by_user(users, [diversity(shown, kinds, k) for shown in lists]),
        miscalibration=mean_by_user(list(compress(users, known)), list(compress(off, known))),
        discover=_discover([one.query for one in some], ranker, k),
        mmr={weight: _varied(some, kinds, weight, k) for weight in MMR_WEIGHTS},
        without={name: _without(some, ranker, name, k) for name in SOURCES},
    )


def _off(query: Query, shown: Ints, kinds: Ints, k: int) -> float:
    owned = query.candidates.owned
    return miscalibration(shown, owned.items, owned.strengths, kinds, k)


def _ndcg(some: Sequence[Ranked], lists: Sequence[Ints], k: int) -> float:
    return mean_ndcg([one.query for one in some], lists, k)


def _discover(queries: Sequence[Query], ranker: Ranker | None, k: int) -> dict[str, float]:
    """NDCG among what is new to the person: served, and each source's own order of it."""
    new = [found for query in queries if (found := discovery(query))]
    served = [one.best(k) for one in ranked(new, ranker)]
    lists = {
        name: [alone(query, column, k) for query in new] for column, name in enumerate(SOURCES)
    }
    return {name: mean_ndcg(new, made, k) for name, made in {"served": served, **lists}.items()}


def _varied(some: Sequence[Ranked], kinds: Ints, weight: float, k: int) -> tuple[float, float]:
    """Diversity and NDCG of lists by maximal marginal relevance."""
    lists = [
        positions[mmr(one.scores, kinds[positions], weight, k)]
        for one in some
        for positions in (one.query.candidates.positions,)
    ]
    varied = [diversity(shown, kinds, k) for shown in lists]
    return mean_by_user([one.query.basket.actor for one in some], varied), _ndcg(some, lists, k)


def _without(some: Sequence[Ranked], ranker: Ranker | None, name: str, k: int) -> float:
    """NDCG when one source is silent: what only it offered is gone, and its score is unknown."""
    left = ranked([_silenced(one.query, SOURCES.index(name)) for one in some], ranker)
    return _ndcg(left, [one.best(k) for one in left], k)


def _silenced(query: Query, column: int) -> Query:
    scores = query.candidates.scores.copy()
    scores[:, column] = np.nan
    kept = ~np.isnan(scores).all(axis=1)
    positions = query.candidates.positions[kept]
    rows = query.rows[kept]
    rows[:, SCORES] = scores[kept]
    found = replace(query.candidates, positions=positions, scores=scores[kept])
    return replace(query, candidates=found, rows=rows)
