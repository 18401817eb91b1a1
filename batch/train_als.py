"""Implicit ALS on Spark, as of a cut: who did how much with what, log-damped."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

from models.als import Als, Rule, rating
from models.own import OwnHistory

SEED = 7


def train(spark: SparkSession, own: OwnHistory, items: int, rule: Rule) -> Als:
    """Item factors (items, rank) from the decayed strengths that `own` holds; zeros if unseen.

    The ratings are the ones fold-in uses, so a user folded in from the same history gets the
    vector Spark would have trained.
    """
    factors = np.zeros((items, rule.rank), np.float32)
    ratings = rating(own.strengths)
    known = ratings != 0
    if not known.any():
        return Als.build(rule, factors)
    users = np.repeat(np.arange(len(own.row_of), dtype=np.int32), np.diff(own.indptr))
    table = pa.table({"user": users[known], "item": own.items[known], "rating": ratings[known]})
    als = ALS(
        rank=rule.rank, maxIter=rule.iterations, regParam=rule.regularisation, alpha=rule.alpha,
        implicitPrefs=True, numUserBlocks=2, numItemBlocks=2, seed=SEED, checkpointInterval=-1,
        userCol="user", itemCol="item", ratingCol="rating",
    )  # fmt: skip
    trained = als.fit(spark.createDataFrame(table)).itemFactors.toArrow()
    rows = np.asarray(trained["id"].to_numpy())
    factors[rows] = np.stack(trained["features"].to_numpy())
    return Als.build(rule, factors)
