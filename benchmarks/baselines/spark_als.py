"""Spark's own implicit ALS, with the settings that `millrace nightly` would give it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession
from scipy import sparse

from models.als import Rule
from models.interactions import Floats

SEED = 7


def train(spark: SparkSession, known: sparse.csr_matrix, rule: Rule) -> tuple[Floats, Floats]:
    """Factors of people and of items; as many blocks as there are cores, no checkpoints."""
    pairs, blocks = known.tocoo(), spark.sparkContext.defaultParallelism
    table = pa.table({"user": pairs.row, "item": pairs.col, "rating": pairs.data})
    als = ALS(
        rank=rule.rank, maxIter=rule.iterations, regParam=rule.regularisation, alpha=rule.alpha,
        implicitPrefs=True, numUserBlocks=blocks, numItemBlocks=blocks, seed=SEED,
        checkpointInterval=-1, userCol="user", itemCol="item", ratingCol="rating",
    )  # fmt: skip
    model = als.fit(spark.createDataFrame(table))
    sides = zip((model.userFactors, model.itemFactors), known.shape, strict=True)
    people, items = (_dense(frame.toArrow(), count, rule.rank) for frame, count in sides)
    return people, items


def _dense(told: pa.Table, count: int, rank: int) -> Floats:
    factors = np.zeros((count, rank), np.float32)
    factors[told["id"].to_numpy()] = np.stack(told["features"].to_numpy())
    return factors
