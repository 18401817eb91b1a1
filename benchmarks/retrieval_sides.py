"""What `bench-retrieval` compares: each source with the settings it may be tuned over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from pyspark.sql import SparkSession
from scipy import sparse

from batch.least_squares import Histories
from batch.train_als import alternate
from benchmarks.gowalla import Scorer
from models.als import Rule
from models.graph import LowPass
from models.interactions import Floats, Ints
from models.slim import learn_each
from models.user_based import UserBased

Setting = Mapping[str, Any]


@dataclass(frozen=True)
class Side:
    """A source: `fit(known, settings, spark)` gives a scorer of people for each of some settings,
    one by one; what they share is computed once."""

    fit: Callable[[sparse.csr_matrix, Sequence[Setting], SparkSession], Iterator[Scorer]]
    settings: tuple[Setting, ...]


def popular(known: sparse.csr_matrix) -> Scorer:
    """The same list for everybody."""
    counts = np.asarray(known.sum(axis=0), np.float32).ravel()
    return lambda people: np.tile(counts, (len(people), 1))


def item_knn(
    known: sparse.csr_matrix, settings: Sequence[Setting], _: SparkSession
) -> Iterator[Scorer]:
    """Shrunk cosine of items, every neighbour kept: the textbook's."""
    together = (known.T @ known).tocsr()
    count = together.diagonal()
    rows = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
    norms = np.sqrt(count[rows] * count[together.indices])
    together.data[rows == together.indices] = 0
    for setting in settings:
        weights = together.data / (norms + setting["shrink"])
        whole = (weights, together.indices, together.indptr)
        yield _times(known, sparse.csr_matrix(whole, together.shape))


def linear(
    known: sparse.csr_matrix, settings: Sequence[Setting], _: SparkSession
) -> Iterator[Scorer]:
    """`models/slim.py`, every learned weight kept; one `near` for all."""
    ridges = [setting["ridge"] for setting in settings]
    for weights in learn_each(known, settings[0]["near"], ridges):
        yield _times(known, weights)


def user_based(known: sparse.csr_matrix, near: int, sharpness: float) -> Scorer:
    """`models/user_based.py`."""
    model = UserBased.fit(known, near, sharpness)
    return lambda people: model.scores(known[people])


def graph(known: sparse.csr_matrix, rank: int) -> Scorer:
    """`models/graph.py`."""
    model = LowPass.fit(known, rank)
    return lambda people: model.scores(known[people])


def als(
    known: sparse.csr_matrix, settings: Sequence[Setting], spark: SparkSession
) -> Iterator[Scorer]:
    """The nightly's implicit ALS, on Spark."""
    ratings = Histories(known.indptr.astype(np.int64), known.indices.astype(np.int32), known.data)
    for setting in settings:
        people, items = alternate(spark, ratings, known.shape[1], setting["rule"])
        yield partial(_products, people, items)


def _each(fit: Callable[..., Scorer]) -> Any:
    """A side that shares nothing between its settings."""
    return lambda known, settings, spark: (fit(known, **setting) for setting in settings)


def _products(people: Floats, items: Floats, asked: Ints) -> Floats:
    scores: Floats = people[asked] @ items.T
    return scores


def _times(known: sparse.csr_matrix, weights: sparse.csr_matrix) -> Scorer:
    """Scores are histories times weights."""
    return lambda people: (known[people] @ weights).toarray()


#: Popularity has nothing to tune; each other side has three settings.
SIDES: Final[Mapping[str, Side]] = {
    "popularity": Side(_each(popular), ({},)),
    "item_knn": Side(item_knn, tuple({"shrink": shrink} for shrink in (0.0, 5.0, 20.0))),
    "linear": Side(linear, tuple({"near": 100, "ridge": r} for r in (5.0, 8.0, 12.0))),
    "user_based": Side(
        _each(user_based),
        tuple({"near": n, "sharpness": s} for n, s in ((200, 2.0), (500, 2.0), (500, 1.5))),
    ),
    "graph": Side(_each(graph), tuple({"rank": rank} for rank in (128, 256, 512))),
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
