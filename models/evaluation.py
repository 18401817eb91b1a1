"""How good a list is: ranking metrics over the full catalogue, and what chance explains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.interactions import Ints

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """The metrics of one list at `k`; `oracle` is the best NDCG its candidates allowed."""

    ndcg: float
    recall: float
    hit: float
    mrr: float


def score(ranked: Sequence[int] | Ints, wanted: Collection[int], k: int) -> Scores:
    """Metrics of the first `k` of `ranked` against `wanted` (items, non-empty, each once).

    NDCG is binary with the ideal of min(k, wanted) hits, so what retrieval missed costs.
    """
    hits = np.fromiter((item in wanted for item in ranked[:k]), dtype=bool)
    where = np.flatnonzero(hits)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    return Scores(
        ndcg=float(discounts[where].sum() / discounts[: len(wanted)].sum()),
        recall=len(where) / len(wanted),
        hit=float(len(where) > 0),
        mrr=1 / (1 + int(where[0])) if len(where) else 0.0,
    )


def oracle_ndcg(found: int, wanted: int, k: int) -> float:
    """The NDCG of a perfect order when retrieval found `found` of the `wanted` items."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    return float(discounts[: min(found, k)].sum() / discounts[: min(wanted, k)].sum())


def coverage(lists: Sequence[Sequence[int] | Ints], catalogue: int, k: int) -> float:
    """The share of the catalogue that the first `k` of any list shows."""
    return len({int(item) for ranked in lists for item in ranked[:k]}) / max(catalogue, 1)


def by_user(users: Sequence[str], values: Sequence[float] | Doubles) -> Mapping[str, float]:
    """Averages within each user, so that a frequent shopper counts once."""
    totals: dict[str, list[float]] = {}
    for user, value in zip(users, values, strict=True):
        totals.setdefault(user, []).append(float(value))
    return {user: float(np.mean(mine)) for user, mine in totals.items()}


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference of means over users and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def paired_bootstrap(
    ours: Mapping[str, float], theirs: Mapping[str, float], rounds: int = 1_000, seed: int = 0
) -> Difference:
    """Resamples users; `ours` and `theirs` hold the same ones."""
    users = sorted(ours)
    gaps = np.asarray([ours[user] - theirs[user] for user in users])
    picks = np.random.default_rng(seed).integers(0, len(gaps), (rounds, len(gaps)))
    means = gaps[picks].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(float(gaps.mean()), float(low), float(high))
