"""Landing: Kafka's log becomes the master dataset, each offset exactly once.

A batch is one offset range in a directory named after it. Its Parquet is written first, the
manifest last: killed between the two, the next run writes the same range again and nothing counts
twice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from batch.broker import Extent, extents
from batch.decoding import SCHEMAS, decoder
from batch.lake import Batch, Lake
from feature_store.settings import Settings
from feature_store.topics import TOPICS


@dataclass(frozen=True, slots=True)
class Landing:
    """What one landing did to a topic; `lost` were deleted by Kafka before they could be landed."""

    topic: str
    rows: int
    invalid: int
    lost: int


def land(spark: SparkSession, settings: Settings, lake: Lake) -> list[Landing]:
    """Lands what is new of every topic, up to the ends as they are now."""
    contracts = {settings.topic(topic.name): topic.name for topic in TOPICS}
    return [
        land_topic(spark, settings.kafka, lake, extent, contracts[extent.topic])
        for extent in extents(settings.kafka, list(contracts))
    ]


def land_topic(
    spark: SparkSession, bootstrap: str, lake: Lake, extent: Extent, contract: str
) -> Landing:
    """Lands one topic up to `extent.next`, decoded by the contract of that name."""
    reached = lake.landed(extent.topic).next(extent.topic_id)
    wanted = {partition: reached.get(str(partition), 0) for partition in extent.next}
    start = {place: max(offset, extent.first[place]) for place, offset in wanted.items()}
    lost = sum(start[partition] - wanted[partition] for partition in start)
    if start == dict(extent.next):
        return Landing(extent.topic, 0, 0, lost)
    directory = _name(extent.topic_id, start, extent.next)
    path = lake.landed(extent.topic).root / directory
    _write(spark, bootstrap, extent.topic, contract, start, dict(extent.next), path)
    rows, invalid = _count(path)
    lake.add(
        extent.topic,
        Batch(directory, extent.topic_id, _text(start), _text(dict(extent.next)), rows, invalid),
    )
    return Landing(extent.topic, rows, invalid, lost)


def _write(
    spark: SparkSession,
    bootstrap: str,
    topic: str,
    contract: str,
    start: dict[int, int],
    until: dict[int, int],
    path: Path,
) -> None:
    messages = (
        spark.read.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("subscribe", topic)
        .option("startingOffsets", orjson.dumps({topic: _text(start)}).decode())
        .option("endingOffsets", orjson.dumps({topic: _text(until)}).decode())
        .option("failOnDataLoss", "true")
        .load()
        .selectExpr("partition", "offset", "unix_millis(timestamp) AS append_time", "key", "value")
    )
    schema = from_arrow_schema(SCHEMAS[contract])
    messages.mapInArrow(decoder(contract), schema).write.mode("overwrite").parquet(str(path))


def _name(topic_id: str, start: dict[int, int], until: object) -> str:
    """A directory for one range: readable start, and a hash that tells ranges apart."""
    said = orjson.dumps([topic_id, start, until], option=orjson.OPT_NON_STR_KEYS)
    return f"{sum(start.values()):012d}-{hashlib.sha256(said).hexdigest()[:12]}"


def _text(offsets: dict[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in sorted(offsets.items())}


def _count(path: Path) -> tuple[int, int]:
    """Rows, and rows with a reason, of a written batch."""
    files = [pq.read_table(file, columns=["reason"])["reason"] for file in path.glob("*.parquet")]
    rows = sum(len(column) for column in files)
    return rows, rows - sum(column.null_count for column in files)
