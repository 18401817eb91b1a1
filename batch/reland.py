"""Repairs the lake: days with a damaged file are landed again from Kafka, and only these.

Run by `spark-submit batch/reland.py`, which is `millrace lake repair`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from functools import partial, reduce

from pyspark.sql import DataFrame

from batch import broker
from batch.broker import BrokerUnavailable, Extent, Range
from batch.lake import Lake, LakeDamaged
from batch.land import Messages, rows_by_day, write
from batch.manifest import Batch, File, LakeError
from batch.session import session
from feature_store.settings import Settings
from feature_store.topics import TOPICS

Say = Callable[[str], None]


def reland(messages: Messages, lake: Lake, extent: Extent, contract: str) -> dict[str, int]:
    """Lands the damaged days of a topic again; returns day -> rows.

    Raises `LakeDamaged` when Kafka no longer has all that was filed under them.
    """
    damaged = lake.verify(extent.topic)
    if not damaged:
        return {}
    landed = lake.landed(extent.topic)
    days = sorted({file.day for file in damaged})
    old = [file for file in landed.files if file.day in days]
    names = tuple(sorted({name for file in old for name in file.batches}))
    batches = [batch for batch in landed.batches if batch.name in names]
    _require_kept(lake, extent, batches, damaged)
    ranges = [_range(extent.topic, batch) for batch in batches]
    again = reduce(DataFrame.unionAll, map(messages, ranges))
    name = "again-" + hashlib.sha256("\n".join(file.path for file in old).encode()).hexdigest()[:12]
    new = write(again, contract, landed.root, name, names, days)
    if rows_by_day(new) != rows_by_day(old):
        raise LakeDamaged(
            f"{extent.topic}: Kafka gave {rows_by_day(new)} rows for days that had "
            f"{rows_by_day(old)}. Nothing was changed: {_remedy(lake, extent.topic, damaged)}"
        )
    lake.replace(extent.topic, old, new)
    return rows_by_day(new)


def repair(settings: Settings, lake: Lake, say: Say) -> None:
    """Repairs every topic, and says what was done."""
    spark = session("millrace-lake-repair")
    contracts = {settings.topic(topic.name): topic.name for topic in TOPICS}
    for extent in broker.extents(settings.kafka, list(contracts)):
        messages = partial(broker.messages, spark, settings.kafka)
        done = reland(messages, lake, extent, contracts[extent.topic])
        said = ", ".join(f"{day} ({rows} rows)" for day, rows in done.items())
        say(f"{extent.topic}: " + (f"landed again: {said}" if done else "nothing is damaged"))


def _require_kept(
    lake: Lake, extent: Extent, batches: Sequence[Batch], damaged: Sequence[File]
) -> None:
    for batch in batches:
        known = batch.topic_id == extent.topic_id
        if not known or any(extent.first[int(p)] > at for p, at in batch.start.items()):
            gone = "an earlier topic of that name" if not known else "offsets that it has deleted"
            raise LakeDamaged(
                f"{extent.topic}: Kafka no longer has what is damaged ({gone}): "
                f"{_remedy(lake, extent.topic, damaged)}"
            )


def _remedy(lake: Lake, topic: str, damaged: Sequence[File]) -> str:
    landed = lake.landed(topic)
    return f"restore {', '.join(str(landed.path(file)) for file in damaged)} from a backup."


def _range(topic: str, batch: Batch) -> Range:
    start, until = (
        {int(partition): offset for partition, offset in said.items()}
        for said in (batch.start, batch.until)
    )
    return Range(topic, start, until)


def main() -> int:
    """0 when the lake is whole again, 1 with one sentence when it could not be made so."""
    settings = Settings()
    lake = Lake(settings.lake)
    try:
        with lake.locked():
            repair(settings, lake, lambda line: print(f"[lake] {line}", flush=True))
    except (BrokerUnavailable, LakeError) as expected:
        print(f"[lake] failed: {expected}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
