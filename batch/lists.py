"""Lists from queries: what serving would show, what one source would, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batch.training_set import Query
from models.evaluation import mean_by_user, score
from models.interactions import Floats, Ints
from models.ranker import Ranker


@dataclass(frozen=True, slots=True)
class Ranked:
    """A query and what serving would order its candidates by, (candidates,)."""

    query: Query
    scores: Floats

    def best(self, k: int) -> Ints:
        """The first `k` items as serving would show them, positions."""
        return best(self.query, self.scores, k)


def ranked(queries: Sequence[Query], ranker: Ranker | None) -> list[Ranked]:
    """Every query by the ranker, or by the blend of its sources without one."""
    return [
        Ranked(query, ranker.predict(query.rows) if ranker else query.candidates.blended())
        for query in queries
    ]


def best(query: Query, scores: Floats, k: int) -> Ints:
    """The `k` candidates that score highest, best first, ties by position."""
    listed: Ints = query.candidates.positions[np.argsort(-scores, kind="stable")[:k]]
    return listed


def alone(query: Query, column: int, k: int) -> Ints:
    """One source's own list of what it offered; `column` is its place in `SOURCES`."""
    offered = query.candidates.scores[:, column]
    count = min(k, int(np.count_nonzero(~np.isnan(offered))))
    return best(query, np.nan_to_num(offered, nan=-np.inf), count)


def mean_ndcg(queries: Sequence[Query], lists: Sequence[Ints], k: int) -> float:
    """NDCG of a list for each query, the mean over people of their own means."""
    scores = [score(x, q.basket.wanted, k).ndcg for q, x in zip(queries, lists, strict=True)]
    return mean_by_user([query.basket.actor for query in queries], scores)
