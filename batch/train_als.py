"""Implicit ALS on Spark, as of a cut: who did how much with what, log-damped.

The same loss as Spark's own ALS, with the solving left to BLAS: the histories lie in Spark as a
few blocks of rows, the other side's factors are broadcast, and each task solves its blocks
(`least_squares.py`). So a worker holds its blocks and both sides' factors, 256 MB for a million
items at rank 64. `make bench-training` compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame, SparkSession
from scipy import sparse

from batch.least_squares import Histories, solve
from models.als import Als, Rule, rating
from models.interactions import Floats
from models.own import OwnHistory

SEED = 7
#: At most about so many ratings in one block, 8 bytes each, as it crosses from Spark to Python.
BLOCK_RATINGS = 4_000_000
MOST_RATINGS = 2**31 - 1


def train(spark: SparkSession, own: OwnHistory, items: int, rule: Rule) -> Als:
    """Item factors (items, rank) from the decayed strengths that `own` holds; zeros if unseen.

    The ratings are the ones fold-in uses, so a user folded in from the same history gets the
    vector that was trained.
    """
    people = Histories(own.indptr, own.items, rating(own.strengths))
    if not (people.ratings > 0).any():
        return Als.build(rule, np.zeros((items, rule.rank), np.float32))
    return Als.build(rule, alternate(spark, people, items, rule)[1])


def alternate(
    spark: SparkSession, people: Histories, items: int, rule: Rule
) -> tuple[Floats, Floats]:
    """The factors of people (rows, rank) and of items (items, rank) after all iterations.

    Both are rows by position, so no id is narrowed on its way through Spark.
    """
    columns = transpose(people, items)
    by_person, by_item = _blocks(spark, people), _blocks(spark, columns)
    mine = np.zeros((len(people), rule.rank), np.float32)
    theirs = _beginning(columns, rule.rank)
    for _ in range(rule.iterations):
        mine = _half_step(spark, by_person, mine, theirs, rule)
        theirs = _half_step(spark, by_item, theirs, mine, rule)
    return mine, theirs


def transpose(rows: Histories, columns: int) -> Histories:
    """The same ratings by column."""
    shape = (len(rows), columns)
    turned = sparse.csr_matrix((rows.ratings, rows.columns, rows.indptr), shape=shape).tocsc()
    return Histories(turned.indptr.astype(np.int64), turned.indices.astype(np.int32), turned.data)


def _beginning(items: Histories, rank: int) -> Floats:
    """Random directions of length about 1, zeros for items that nobody met."""
    drawn = np.random.default_rng(SEED).standard_normal((len(items), rank)) / np.sqrt(rank)
    begun: Floats = np.where(items.lengths[:, None] > 0, drawn, 0).astype(np.float32)
    return begun


def _blocks(spark: SparkSession, rows: Histories) -> DataFrame:
    """Blocks of consecutive rows with about as many ratings each, one to a partition or more.

    Raises ValueError for more ratings than Arrow's 32-bit offsets can count.
    """
    ratings, workers = len(rows.columns), spark.sparkContext.defaultParallelism
    if ratings > MOST_RATINGS:
        raise ValueError(f"{ratings:,} ratings are more than ALS takes: train on a shorter log.")
    count = workers * -(-ratings // (workers * BLOCK_RATINGS))
    inner = np.searchsorted(rows.indptr, np.arange(1, count) * ratings / count)
    edges = np.concatenate([[0], inner, [len(rows)]])
    at = rows.indptr[edges]
    table = pa.table(
        {
            "first": edges[:-1],
            "lengths": pa.ListArray.from_arrays(edges.astype(np.int32), rows.lengths),
            "columns": pa.ListArray.from_arrays(at.astype(np.int32), rows.columns),
            "ratings": pa.ListArray.from_arrays(at.astype(np.int32), rows.ratings),
        }
    )
    return spark.createDataFrame(table)


def _half_step(
    spark: SparkSession, blocks: DataFrame, start: Floats, fixed: Floats, rule: Rule
) -> Floats:
    """Every block's rows solved by Spark's workers, and put together again."""
    held = spark.sparkContext.broadcast((start, fixed))
    said = blocks.mapInArrow(_solver(held, rule), "first long, vectors array<float>").toArrow()
    held.destroy()
    solved = np.zeros_like(start)
    for first, vectors in zip(said["first"].to_pylist(), _arrays(said["vectors"]), strict=True):
        part = vectors.reshape(-1, rule.rank)
        solved[first : first + len(part)] = part
    return solved


def _solver(
    held: Broadcast[tuple[Floats, Floats]], rule: Rule
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a worker does with its blocks."""

    def solve_blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        start, fixed = held.value
        for batch in batches:
            sides = (_arrays(batch[name]) for name in ("lengths", "columns", "ratings"))
            for first, lengths, columns, ratings in zip(
                batch["first"].to_pylist(), *sides, strict=True
            ):
                indptr = np.concatenate([[0], np.cumsum(lengths)])
                rows = Histories(indptr, columns, ratings)
                solved = solve(rows, start[first : first + len(rows)], fixed, rule).ravel()
                cells = pa.ListArray.from_arrays(np.array([0, len(solved)], np.int32), solved)
                yield pa.RecordBatch.from_arrays([pa.array([first]), cells], ["first", "vectors"])

    return solve_blocks


def _arrays(lists: pa.ListArray | pa.ChunkedArray) -> list[npt.NDArray[np.generic]]:
    """One numpy array for each list."""
    return [one.values.to_numpy() for one in lists]
