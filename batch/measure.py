"""How good the lists are on baskets the models have not seen: ours beside every single source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from batch.lists import Ranked
from batch.outcomes import SERVED, Outcomes
from models.evaluation import Difference, coverage, mean_by_user, oracle_ndcg, score
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


def measure(test: Sequence[Ranked], found: Outcomes, catalogue: int) -> Measures | None:
    """Sums up what became of the test's baskets; None without any."""
    if not test:
        return None
    k, users = found.k, [one.query.basket.actor for one in test]
    means = {name: found.mean(name) for name in SOURCES}
    best = max(means, key=lambda name: means[name])
    hits = [int(one.query.labels.sum()) for one in test]
    wanted = [len(one.query.basket.wanted) for one in test]
    oracle = [oracle_ndcg(hit, asked, k) for hit, asked in zip(hits, wanted, strict=True)]
    return Measures(
        k=k,
        baskets=len(test),
        users=len(set(users)),
        ndcg={SERVED: found.mean(SERVED), **means},
        served=_served(test, users, catalogue, k),
        retrieval_recall=sum(hits) / sum(wanted),
        oracle_ndcg=mean_by_user(users, oracle),
        best_single=best,
        gain=found.gap(SERVED, best),
    )


def _served(
    test: Sequence[Ranked], users: Sequence[str], catalogue: int, k: int
) -> dict[str, float]:
    """What NDCG does not say of the served lists."""
    lists = [one.best(k) for one in test]
    told = [score(x, one.query.basket.wanted, k) for x, one in zip(lists, test, strict=True)]
    asked = {"recall": "recall", "hit": "hit", "mrr": "mrr", "map": "precision"}
    means = {
        name: mean_by_user(users, [getattr(one, metric) for one in told])
        for name, metric in asked.items()
    }
    return {**means, "coverage": coverage(lists, catalogue, k)}
