"""How good the lists are on baskets the models have not seen: ours beside every single source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from batch.training_set import Query
from models.evaluation import (
    Difference,
    Scores,
    by_user,
    coverage,
    oracle_ndcg,
    paired_bootstrap,
    score,
)
from models.interactions import Floats, Ints
from models.ranker import Ranker
from models.sources import SOURCES


@dataclass(frozen=True)
class Measures:
    """Averages over users; `ndcg` by list: `served` and each source alone."""

    k: int
    baskets: int
    users: int
    ndcg: Mapping[str, float]
    served: Mapping[str, float]
    retrieval_recall: float
    oracle_ndcg: float
    best_single: str
    gain: Difference

    def flat(self) -> dict[str, float]:
        """As MLflow metrics."""
        return {
            **{f"ndcg_{name}": value for name, value in self.ndcg.items()},
            **{f"served_{name}": value for name, value in self.served.items()},
            "retrieval_recall": self.retrieval_recall,
            "oracle_ndcg": self.oracle_ndcg,
            "gain_over_best_single": self.gain.mean,
            "test_baskets": float(self.baskets),
        }

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def measure(
    queries: Sequence[Query], ranker: Ranker | None, catalogue: int, k: int
) -> Measures | None:
    """Ranks every query by `ranker` (or the blend) and by each source; None without queries."""
    if not queries:
        return None
    served = [_best(query, served_scores(query, ranker), k) for query in queries]
    ours = [
        score(ranked, query.basket.wanted, k) for ranked, query in zip(served, queries, strict=True)
    ]
    users = [query.basket.actor for query in queries]
    ndcg = {
        name: by_user(users, [_alone(query, column, k) for query in queries])
        for column, name in enumerate(SOURCES)
    }
    mine = by_user(users, [result.ndcg for result in ours])
    means = {name: float(np.mean(list(values.values()))) for name, values in ndcg.items()}
    best = max(means, key=lambda name: means[name])
    found, wanted = _found(queries)
    return Measures(
        k=k,
        baskets=len(queries),
        users=len(mine),
        ndcg={"served": float(np.mean(list(mine.values()))), **means},
        served={**_means(users, ours), "coverage": coverage(served, catalogue, k)},
        retrieval_recall=sum(found) / sum(wanted),
        oracle_ndcg=_mean(
            users, [oracle_ndcg(f, w, k) for f, w in zip(found, wanted, strict=True)]
        ),
        best_single=best,
        gain=paired_bootstrap(mine, ndcg[best]),
    )


def served_scores(query: Query, ranker: Ranker | None) -> Floats:
    """What serving would order by, (candidates,)."""
    return ranker.predict(query.rows) if ranker else query.candidates.blended()


def _best(query: Query, scores: Floats, k: int) -> Ints:
    order = np.argsort(-scores, kind="stable")[:k]
    best: Ints = query.candidates.positions[order]
    return best


def _alone(query: Query, column: int, k: int) -> float:
    """NDCG of one source's own order of what it offered."""
    offered = query.candidates.scores[:, column]
    count = min(k, int(np.count_nonzero(~np.isnan(offered))))
    ranked = _best(query, np.nan_to_num(offered, nan=-np.inf), count)
    return score(ranked, query.basket.wanted, k).ndcg


def _found(queries: Sequence[Query]) -> tuple[list[int], list[int]]:
    return [int(q.labels.sum()) for q in queries], [len(q.basket.wanted) for q in queries]


def _means(users: Sequence[str], results: Sequence[Scores]) -> dict[str, float]:
    names = ("recall", "hit", "mrr")
    return {name: _mean(users, [getattr(r, name) for r in results]) for name in names}


def _mean(users: Sequence[str], values: Sequence[float]) -> float:
    return float(np.mean(list(by_user(users, values).values())))
