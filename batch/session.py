"""The Spark session of the batch layer; what `spark-submit` says wins over what stands here."""

from __future__ import annotations

import os
import sys

from pyspark import SparkConf
from pyspark.sql import SparkSession

#: Sized for one machine and a few million events; a cluster overrides them with `--conf`.
DEFAULTS = {
    "spark.master": "local[2]",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


def session(name: str) -> SparkSession:
    """Starts Spark, or joins the one that runs in this process."""
    # Workers run this Python; else they would take the first one of the path, without our packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf()
    for key, value in DEFAULTS.items():
        conf.setIfMissing(key, value)
    return SparkSession.builder.appName(name).config(conf=conf).getOrCreate()


def give_back(spark: SparkSession) -> None:
    """Lets the JVM return the heap that is free now, for Python to learn in.

    It does so with the flags of `infra/stack/spark.py` only.
    """
    jvm = spark.sparkContext._jvm
    assert jvm is not None, "Spark runs"
    jvm.System.gc()
