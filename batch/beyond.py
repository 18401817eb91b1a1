"""What accuracy does not say: reach, surprise, variety, calibration; what each source is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from batch.measure import served_scores
from batch.training_set import Query, discovery
from models.diversity import mmr
from models.evaluation import (
    coverage,
    diversity,
    head_share,
    mean_by_user,
    miscalibration,
    novelty,
    score,
)
from models.interactions import Floats, Ints
from models.ranker import Ranker
from models.rows import SCORES
from models.sources import SOURCES, Sources

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
        """As MLflow metrics."""
        plain = ("coverage", "novelty_bits", "head_share", "diversity", "miscalibration")
        return {
            **{name: getattr(self, name) for name in plain},
            **{f"ndcg_new_{name}": value for name, value in self.discover.items()},
            **{f"ndcg_mmr_{weight}": ndcg for weight, (_, ndcg) in self.mmr.items()},
            **{f"diversity_mmr_{weight}": kinds for weight, (kinds, _) in self.mmr.items()},
            **{f"ndcg_without_{name}": value for name, value in self.without.items()},
        }


def beyond(
    queries: Sequence[Query], ranker: Ranker | None, sources: Sources, k: int
) -> Beyond | None:
    """Of lists as serving would make them; None without queries."""
    if not queries:
        return None
    scored = [(query, served_scores(query, ranker)) for query in queries]
    lists = [_list(query, scores, k) for query, scores in scored]
    users, kinds = [query.basket.actor for query in queries], sources.columns.category
    calibrated = [
        (query.basket.actor, _off(query, ranked, kinds, k))
        for query, ranked in zip(queries, lists, strict=True)
    ]
    known = [(actor, off) for actor, off in calibrated if np.isfinite(off)]
    return Beyond(
        k=k,
        coverage=coverage(lists, len(sources.item_ids), k),
        novelty_bits=novelty(lists, sources.popularity, k),
        head_share=head_share(lists, sources.popularity, k),
        diversity=mean_by_user(users, [diversity(ranked, kinds, k) for ranked in lists]),
        miscalibration=mean_by_user([actor for actor, _ in known], [off for _, off in known]),
        discover=_discover(queries, ranker, k),
        mmr={weight: _varied(scored, kinds, weight, k) for weight in MMR_WEIGHTS},
        without={name: _without(queries, ranker, name, k) for name in SOURCES},
    )


def _list(query: Query, scores: Floats, k: int) -> Ints:
    ranked: Ints = query.candidates.positions[np.argsort(-scores, kind="stable")[:k]]
    return ranked


def _off(query: Query, ranked: Ints, kinds: Ints, k: int) -> float:
    owned = query.candidates.owned
    return miscalibration(ranked, owned.items, owned.strengths, kinds, k)


def _ndcg(queries: Sequence[Query], lists: Sequence[Ints], k: int) -> float:
    scores = [score(x, q.basket.wanted, k).ndcg for q, x in zip(queries, lists, strict=True)]
    return mean_by_user([query.basket.actor for query in queries], scores)


def _discover(queries: Sequence[Query], ranker: Ranker | None, k: int) -> dict[str, float]:
    """NDCG among what is new to the person: served, and each source's own order of it."""
    new = [found for query in queries if (found := discovery(query))]
    served = [_list(query, served_scores(query, ranker), k) for query in new]
    alone = {
        name: [_offered(query, column, k) for query in new] for column, name in enumerate(SOURCES)
    }
    return {name: _ndcg(new, lists, k) for name, lists in {"served": served, **alone}.items()}


def _offered(query: Query, column: int, k: int) -> Ints:
    scores = query.candidates.scores[:, column]
    count = np.count_nonzero(~np.isnan(scores))
    return _list(query, np.nan_to_num(scores, nan=-np.inf), k)[:count]


def _varied(
    scored: Sequence[tuple[Query, Floats]], kinds: Ints, weight: float, k: int
) -> tuple[float, float]:
    """Diversity and NDCG of lists by maximal marginal relevance."""
    queries = [query for query, _ in scored]
    lists = [
        query.candidates.positions[mmr(scores, kinds[query.candidates.positions], weight, k)]
        for query, scores in scored
    ]
    varied = [diversity(ranked, kinds, k) for ranked in lists]
    return mean_by_user([q.basket.actor for q in queries], varied), _ndcg(queries, lists, k)


def _without(queries: Sequence[Query], ranker: Ranker | None, name: str, k: int) -> float:
    """NDCG when one source is silent: what only it offered is gone, and its score is unknown."""
    column = SOURCES.index(name)
    left = []
    for query in queries:
        scores = query.candidates.scores.copy()
        scores[:, column] = np.nan
        kept = ~np.isnan(scores).all(axis=1)
        found = replace(
            query.candidates, positions=query.candidates.positions[kept], scores=scores[kept]
        )
        rows = query.rows[kept]
        rows[:, SCORES] = found.scores
        left.append(replace(query, candidates=found, rows=rows))
    return _ndcg(left, [_list(query, served_scores(query, ranker), k) for query in left], k)
