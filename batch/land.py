"""Landing: Kafka's log becomes the master dataset, each offset exactly once.

A batch is one offset range in a directory named after it, with a directory for each event date.
Its Parquet is written first, the manifest last: killed between the two, the next run sweeps the
leftover away and writes the range again, and nothing counts twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import orjson
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from batch import broker, parquet
from batch.broker import Extent, Range
from batch.compact import compact
from batch.decoding import SCHEMAS, decoder
from batch.files import sync
from batch.lake import Lake, complain
from batch.manifest import Batch, File, LakeError
from feature_store.settings import Settings
from feature_store.tiles import DAY_MS
from feature_store.topics import INTERACTIONS, TOPICS

#: Offsets of one topic -> its messages (partition, offset, append_time, key, value).
Messages = Callable[[Range], DataFrame]
#: Older events share a day: a producer of rubbish times must not make a directory for each.
OLDEST_MS: Final = 3660 * DAY_MS


class LogShrank(LakeError):
    """Kafka holds less of a topic than was landed of it."""


@dataclass(frozen=True, slots=True)
class Landing:
    """What one landing did to a topic; `lost` were deleted by Kafka before they could be landed.

    `days` (`2026-03-10` -> rows) are event dates; of topics without events, dates of arrival.
    """

    topic: str
    rows: int
    invalid: int
    lost: int
    days: Mapping[str, int]


def land(spark: SparkSession, settings: Settings, lake: Lake) -> list[Landing]:
    """Lands what is new of every topic, up to the ends as they are now.

    Raises `LakeDamaged` when a file that was landed before is no longer what it was.
    """
    contracts = {settings.topic(topic.name): topic.name for topic in TOPICS}
    for topic in contracts:
        landed = lake.landed(topic)
        complain({landed.path(file): "is damaged" for file in lake.verify(topic)})
    return [
        land_topic(
            partial(broker.messages, spark, settings.kafka),
            lake, extent, contracts[extent.topic],
        )
        for extent in broker.extents(settings.kafka, list(contracts))
    ]  # fmt: skip


def land_topic(messages: Messages, lake: Lake, extent: Extent, contract: str) -> Landing:
    """Lands one topic up to `extent.next`, decoded by the contract of that name."""
    lake.sweep(extent.topic)
    reached = lake.landed(extent.topic).next(extent.topic_id)
    wanted = {partition: reached.get(str(partition), 0) for partition in extent.next}
    start = {place: max(offset, extent.first[place]) for place, offset in wanted.items()}
    lost = sum(start[partition] - wanted[partition] for partition in start)
    coming = Range(extent.topic, start, extent.next)
    _require_growth(coming)
    if wanted == dict(extent.next):
        return Landing(extent.topic, 0, 0, 0, {})
    name = _name(extent.topic_id, coming)
    root = lake.landed(extent.topic).root
    files = write(messages(coming), contract, root, name, (name,)) if coming.offsets else []
    rows, invalid = sum(file.rows for file in files), sum(file.invalid for file in files)
    batch = Batch(name, extent.topic_id, coming.text.start, coming.text.until, rows, invalid)
    lake.add(extent.topic, batch, files)
    compact(lake, extent.topic)
    return Landing(extent.topic, rows, invalid, lost, rows_by_day(files))


def write(
    messages: DataFrame,
    contract: str,
    root: Path,
    name: str,
    batches: tuple[str, ...],
    days: Sequence[str] = (),
) -> list[File]:
    """Decodes messages into `<root>/<name>/day=…/`; nothing counts before a manifest names it.

    With `days`, only what is filed under these is kept.
    """
    schema = from_arrow_schema(SCHEMAS[contract])
    rows = messages.mapInArrow(decoder(contract), schema)
    dated = rows.selectExpr("*", f"{_day(contract)} AS day")
    if days:
        dated = dated.where(dated["day"].isin(list(days)))
    even = messages.sparkSession.sql("SELECT /*+ REBALANCE(day) */ * FROM {dated}", dated=dated)
    even.write.mode("overwrite").partitionBy("day").parquet(str(root / name))
    return described(root, name, batches)


def described(root: Path, name: str, batches: tuple[str, ...]) -> list[File]:
    """The manifest's entries of all files of a directory, made durable."""
    files = []
    for directory in sorted((root / name).glob("day=*")):
        day = directory.name.removeprefix("day=")
        paths = sorted(directory.glob("*.parquet"))
        files += [parquet.describe(path, root, day, batches) for path in paths]
        sync(directory)
    sync(root / name)
    sync(root)
    return files


def _day(contract: str) -> str:
    """The date that a row is filed under: of the event, or else of its arrival."""
    moment = "append_time"
    if contract == INTERACTIONS.name:
        oldest = f"append_time - {OLDEST_MS}L"
        moment = f"GREATEST(COALESCE(event_time, append_time), {oldest})"
    return f"CAST(DATE(TIMESTAMP_MILLIS({moment})) AS STRING)"


def rows_by_day(files: Sequence[File]) -> dict[str, int]:
    """Day -> rows, in order of time."""
    return {d: sum(f.rows for f in files if f.day == d) for d in sorted({f.day for f in files})}


def _require_growth(coming: Range) -> None:
    for partition, until in coming.until.items():
        if coming.start[partition] > until:
            raise LogShrank(
                f"{coming.topic}, partition {partition}: landed up to offset "
                f"{coming.start[partition]}, but Kafka ends at {until}. It was restored from an "
                "older copy: what it holds now may be other messages. Make the topic anew (it then "
                "has another id and is landed from 0), or set MILLRACE_LAKE to an empty directory."
            )


def _name(topic_id: str, coming: Range) -> str:
    """A directory for one range: readable start, and a hash that tells ranges apart."""
    said = orjson.dumps([topic_id, coming.text.start, coming.text.until])
    return f"{sum(coming.start.values()):012d}-{hashlib.sha256(said).hexdigest()[:12]}"
