"""What `bench-retrieval` compares: each source with the settings it may be tuned over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pyspark.sql import SparkSession
from scipy import sparse

from batch.least_squares import Histories
from batch.train_als import alternate
from benchmarks.gowalla import Scorer
from models.als import Rule
from models.graph import LowPass
from models.interactions import Floats
from models.slim import learn
from models.user_based import UserBased

Fit = Callable[..., Scorer]


@dataclass(frozen=True)
class Side:
    """A source: `fit(known, **setting)` gives a scorer of people, for one of the settings."""

    fit: Fit
    settings: tuple[Mapping[str, Any], ...]


def popular(known: sparse.csr_matrix) -> Scorer:
    """The same list for everybody."""
    counts = np.asarray(known.sum(axis=0), np.float32).ravel()
    return lambda people: np.tile(counts, (len(people), 1))


def item_knn(known: sparse.csr_matrix, shrink: float) -> Scorer:
    """Shrunk cosine of items, every neighbour kept: the textbook's."""
    similar = (known.T @ known).tocsr()
    count = similar.diagonal()
    rows = np.repeat(np.arange(similar.shape[0]), np.diff(similar.indptr))
    similar.data /= np.sqrt(count[rows] * count[similar.indices]) + shrink
    similar.data[rows == similar.indices] = 0
    return lambda people: _dense(known[people] @ similar)


def linear(known: sparse.csr_matrix, near: int, ridge: float) -> Scorer:
    """`models/slim.py`, every learned weight kept."""
    weights = learn(known, near, ridge)
    return lambda people: _dense(known[people] @ weights)


def user_based(known: sparse.csr_matrix, near: int, sharpness: float) -> Scorer:
    """`models/user_based.py`."""
    model = UserBased.fit(known, near, sharpness)
    return lambda people: model.scores(known[people])


def graph(known: sparse.csr_matrix, rank: int) -> Scorer:
    """`models/graph.py`."""
    model = LowPass.fit(known, rank)
    return lambda people: model.scores(known[people])


def als(known: sparse.csr_matrix, spark: SparkSession, rule: Rule) -> Scorer:
    """The nightly's implicit ALS, on Spark."""
    ratings = Histories(known.indptr.astype(np.int64), known.indices.astype(np.int32), known.data)
    people, items = alternate(spark, ratings, known.shape[1], rule)
    return lambda asked: people[asked] @ items.T


def _dense(scores: sparse.csr_matrix) -> Floats:
    dense: Floats = scores.toarray()
    return dense


#: Popularity has nothing to tune; each other side has three settings.
SIDES: Final[Mapping[str, Side]] = {
    "popularity": Side(popular, ({},)),
    "item_knn": Side(item_knn, tuple({"shrink": shrink} for shrink in (0.0, 5.0, 20.0))),
    "linear": Side(linear, tuple({"near": 100, "ridge": r} for r in (5.0, 8.0, 12.0))),
    "user_based": Side(
        user_based,
        tuple({"near": n, "sharpness": s} for n, s in ((200, 2.0), (500, 2.0), (500, 1.5))),
    ),
    "graph": Side(graph, tuple({"rank": rank} for rank in (128, 256, 512))),
    "als": Side(
        als,
        tuple(
            {"rule": Rule(128, 10.0, ridge, 10, scaled)}
            for ridge, scaled in ((0.5, True), (10.0, False), (50.0, False))
        ),
    ),
}
#: The sides that are blended, and the weights that are tried for each.
BLENDED: Final = ("linear", "user_based", "graph", "als")
WEIGHTS: Final = (0.0, 0.5, 1.0)
