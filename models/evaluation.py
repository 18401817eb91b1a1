"""How good a list is: ranking metrics over the full catalogue, and what chance explains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.interactions import Floats, Ints

Doubles = npt.NDArray[np.float64]
Ranking = Sequence[int] | Ints

#: How many of the most popular items make up the head of a catalogue.
HEAD = 100
#: Steck (2018): so much of a person's own mix stands in for kinds that a list lacks.
SMOOTHING = 0.01


@dataclass(frozen=True, slots=True)
class Scores:
    """The metrics of one list at `k`; `precision` is the average precision (the mean is MAP)."""

    ndcg: float
    recall: float
    hit: float
    mrr: float
    precision: float


def score(ranked: Ranking, wanted: Collection[int], k: int) -> Scores:
    """Metrics of the first `k` of `ranked` against `wanted` (items, non-empty, each once).

    NDCG is binary with the ideal of min(k, wanted) hits, so what retrieval missed costs; average
    precision divides by the same number.
    """
    hits = np.fromiter((item in wanted for item in ranked[:k]), dtype=bool)
    where = np.flatnonzero(hits)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    precisions = np.arange(1, len(where) + 1) / (where + 1)
    return Scores(
        ndcg=float(discounts[where].sum() / discounts[: len(wanted)].sum()),
        recall=len(where) / len(wanted),
        hit=float(len(where) > 0),
        mrr=1 / (1 + int(where[0])) if len(where) else 0.0,
        precision=float(precisions.sum() / min(k, len(wanted))),
    )


def oracle_ndcg(found: int, wanted: int, k: int) -> float:
    """The NDCG of a perfect order when retrieval found `found` of the `wanted` items."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    return float(discounts[: min(found, k)].sum() / discounts[: min(wanted, k)].sum())


def coverage(lists: Sequence[Ranking], catalogue: int, k: int) -> float:
    """The share of the catalogue that the first `k` of any list shows."""
    return len({int(item) for ranked in lists for item in ranked[:k]}) / max(catalogue, 1)


def novelty(lists: Sequence[Ranking], popularity: Floats, k: int) -> float:
    """Bits of surprise of a place: -log2 of the item's share of all that was bought, on the mean.

    An item that nobody bought counts as bought once.
    """
    shown = _shown(lists, k)
    if not len(shown):
        return 0.0
    total = max(float(popularity.sum()), 1.0)
    return float(-np.log2(np.maximum(popularity[shown], 1.0) / total).mean())


def head_share(lists: Sequence[Ranking], popularity: Floats, k: int) -> float:
    """Popularity bias: the share of places that the `HEAD` most popular items hold."""
    shown = _shown(lists, k)
    head = np.argsort(-popularity, kind="stable")[:HEAD]
    return float(np.isin(shown, head).mean()) if len(shown) else 0.0


def diversity(ranked: Ranking, kinds: Ints, k: int) -> float:
    """The share of pairs in a list that differ in kind (codes by item, -1 unlike any); 1 for one
    item.
    """
    mine = kinds[np.asarray(ranked[:k], np.int64)]
    if len(mine) < 2:
        return 1.0
    same = (mine[:, None] == mine[None, :]) & (mine >= 0)[:, None]
    pairs = len(mine) * (len(mine) - 1)
    return float(1 - (same.sum() - np.count_nonzero(mine >= 0)) / pairs)


def miscalibration(ranked: Ranking, items: Ints, strengths: Floats, kinds: Ints, k: int) -> float:
    """How far the mix of kinds in a list is from the person's own (Steck 2018), in nats.

    0 is the same mix. `items` and `strengths` are the person's; NaN for somebody unknown.
    """
    worth = np.maximum(strengths, 0)
    if not worth.sum():
        return float("nan")
    mine, shown = kinds[items] + 1, kinds[np.asarray(ranked[:k], np.int64)] + 1
    width = int(max(mine.max(), shown.max(initial=0))) + 1
    wished = np.bincount(mine, worth, width) / worth.sum()
    given = np.bincount(shown, minlength=width) / max(len(shown), 1)
    given = (1 - SMOOTHING) * given + SMOOTHING * wished
    there = wished > 0
    return float((wished[there] * np.log(wished[there] / given[there])).sum())


def by_user(users: Sequence[str], values: Sequence[float] | Doubles) -> Mapping[str, float]:
    """Averages within each user, so that a frequent shopper counts once."""
    totals: dict[str, list[float]] = {}
    for user, value in zip(users, values, strict=True):
        totals.setdefault(user, []).append(float(value))
    return {user: float(np.mean(mine)) for user, mine in totals.items()}


def mean_by_user(users: Sequence[str], values: Sequence[float] | Doubles) -> float:
    """The mean over users of their own means; NaN without any."""
    return float(np.mean(list(by_user(users, values).values()))) if len(users) else float("nan")


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference of means over users and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A paired ratio of means over users and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def paired_bootstrap(
    ours: Mapping[str, float], theirs: Mapping[str, float], rounds: int = 1_000, seed: int = 0
) -> Difference:
    """Ours less theirs; resamples users, of whom `ours` and `theirs` hold the same."""
    found = _bootstrap(ours, theirs, lambda mine, other: mine - other, rounds, seed)
    return Difference(*found)


def paired_ratio(
    ours: Mapping[str, float], theirs: Mapping[str, float], rounds: int = 1_000, seed: int = 0
) -> Ratio:
    """Ours over theirs, as `paired_bootstrap`; NaN where theirs is 0."""

    def ratio(mine: Doubles, other: Doubles) -> Doubles:
        found: Doubles = mine / np.where(other > 0, other, np.nan)
        return found

    return Ratio(*_bootstrap(ours, theirs, ratio, rounds, seed))


def _bootstrap(
    ours: Mapping[str, float], theirs: Mapping[str, float],
    compare: Callable[[Doubles, Doubles], Doubles], rounds: int, seed: int,
) -> tuple[float, float, float]:  # fmt: skip
    users = sorted(ours)
    mine, other = (np.asarray([by[user] for user in users]) for by in (ours, theirs))
    picks = np.random.default_rng(seed).integers(0, len(users), (rounds, len(users)))
    found = compare(mine[picks].mean(axis=1), other[picks].mean(axis=1))
    low, high = np.quantile(found, [0.025, 0.975])
    whole = compare(mine.mean(keepdims=True), other.mean(keepdims=True))
    return float(whole[0]), float(low), float(high)


def _shown(lists: Sequence[Ranking], k: int) -> Ints:
    """Every place of every list, (places,)."""
    return np.asarray([int(item) for ranked in lists for item in ranked[:k]], np.int32)
