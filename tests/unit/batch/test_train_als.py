"""ALS on Spark: the loss of exact steps, positions kept, a user folded in as trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pyspark.sql import SparkSession
from scipy import sparse

from batch.least_squares import Histories, solve
from batch.session import session
from batch.train_als import alternate, train
from benchmarks.objective import loss
from models import own
from models.als import Als, Rule
from models.interactions import Floats
from tests.unit.models.builders import ITEMS, NOW, log

RULE = Rule(rank=6, alpha=8.0, regularisation=0.1, iterations=10)


@pytest.fixture(scope="module")
def spark() -> SparkSession:
    return session("train-als")


@pytest.fixture(scope="module")
def known() -> sparse.csr_matrix:
    """Two tastes of 60 people and 40 items, an item nobody met and a person who did nothing."""
    random = np.random.default_rng(3)
    taste = np.kron(np.eye(2), np.ones((30, 20))) * 0.35 + 0.05
    drawn = (random.random((60, 40)) < taste).astype(np.float32)
    drawn[:, 39] = 0
    drawn[7] = 0
    return sparse.csr_matrix(drawn * random.integers(1, 4, drawn.shape), dtype=np.float32)


def rows(known: sparse.csr_matrix) -> Histories:
    return Histories(known.indptr.astype(np.int64), known.indices, known.data)


def exactly(known: sparse.csr_matrix, rule: Rule) -> tuple[Floats, Floats]:
    """The same alternation, every row solved exactly, as folding in does."""

    def step(rows: sparse.csr_matrix, fixed: Floats) -> Floats:
        other = Als.build(rule, fixed)
        vectors = [other.fold_in(row.indices, np.expm1(row.data)) for row in rows]
        zero = np.zeros(rule.rank, np.float32)
        return np.stack([zero if one is None else one for one in vectors])

    items = np.random.default_rng(0).normal(size=(known.shape[1], rule.rank)).astype(np.float32)
    for _ in range(rule.iterations):
        people = step(known, items)
        items = step(known.T.tocsr(), people)
    return people, items


@pytest.mark.parametrize("rule", [RULE, replace(RULE, regularisation=2.0, scaled=False)])
def test_it_reaches_the_loss_of_exact_steps(
    rule: Rule, spark: SparkSession, known: sparse.csr_matrix
) -> None:
    ours = loss(known, *alternate(spark, rows(known), 40, rule), rule)
    assert ours <= loss(known, *exactly(known, rule), rule) * 1.02


def test_a_history_folded_in_is_the_vector_that_was_trained(
    spark: SparkSession, known: sparse.csr_matrix
) -> None:
    people, items = alternate(spark, rows(known), 40, replace(RULE, iterations=20))
    again = solve(rows(known), people, items, RULE)
    assert np.abs(again - people).max() < 0.03 * np.abs(people).max()


def test_a_position_is_kept_and_what_nobody_met_is_zero(
    spark: SparkSession, known: sparse.csr_matrix
) -> None:
    people, items = alternate(spark, rows(known), 40, RULE)
    assert np.flatnonzero(~people.any(axis=1)).tolist() == [7]
    assert np.flatnonzero(~items.any(axis=1)).tolist() == [39]
    assert (people[:7] @ items[:20].T).mean() > (people[:7] @ items[20:39].T).mean() + 0.2


def test_a_log_without_a_liked_item_gives_zeros(spark: SparkSession) -> None:
    refused = own.fit(log(("ann", "milk", "remove", 1.0)), NOW, 30.0)
    assert not train(spark, refused, len(ITEMS), RULE).factors.any()


def test_what_an_actor_likes_is_found_by_folding_in(spark: SparkSession) -> None:
    history = log(
        *((f"a{n}", item, "purchase", 1.0) for n in range(5) for item in ("milk", "bread")),
        *((f"b{n}", item, "purchase", 1.0) for n in range(5) for item in ("tea", "jam")),
    )
    als = train(spark, own.fit(history, NOW, 30.0), len(ITEMS), replace(RULE, rank=2))
    found, _ = als.candidates(np.array([ITEMS.index("milk")], np.int32), np.ones(1, np.float32), 2)
    assert set(found) == {ITEMS.index("milk"), ITEMS.index("bread")}
