"""What Spark makes of the recount's SQL: its plan, over a log that holds nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from pyspark.sql.pandas.types import from_arrow_schema

from batch import compiler
from batch.decoding import SCHEMAS
from batch.session import session
from feature_store.topics import INTERACTIONS


def plans(queries: Sequence[str], horizon_ms: int) -> list[str]:
    """The plan of each query of the views `applied` and `ever` (`batch/compiler.py`).

    Starts Spark, which takes seconds. The log is Parquet, as in the lake, so the plan says what is
    read of it; how Spark adapts to sizes while it runs is not in it.
    """
    spark, schema = session("plan"), SCHEMAS[INTERACTIONS.name]
    with TemporaryDirectory() as directory:
        pq.write_table(schema.empty_table(), Path(directory) / "log.parquet")
        landed = spark.read.schema(from_arrow_schema(schema)).parquet(directory)
        landed.createOrReplaceTempView("landed")
        for view, horizon in (("applied", horizon_ms), ("ever", compiler.EVER)):
            spark.sql(compiler.applied("landed", horizon)).createOrReplaceTempView(view)
        told = [str(spark.sql(f"EXPLAIN FORMATTED {query}").collect()[0][0]) for query in queries]
        for view in ("landed", "applied", "ever"):
            spark.catalog.dropTempView(view)
        return told
