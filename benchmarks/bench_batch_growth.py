"""S6 for the batch side: what landing and recounting cost as the log grows.

    make bench-batch-growth                       # 100,000, 400,000 and 1.6 million messages
    make bench-batch-growth ARGS="--events 20000"

Users and items grow with the events. The log comes from a Parquet file of raw messages in place of
Kafka, so that Spark alone is measured: decoding, filing by day, and the recount of every tile. The
cost is the processor time of this process, of its JVM and of Spark's Python workers. One round at
1x goes before. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from batch.broker import Extent
from batch.lake import Lake
from batch.land import land_topic
from batch.recount import recount
from batch.session import session
from benchmarks.log import make
from benchmarks.stage import machine, report, say
from feature_store.declaration import load
from feature_store.settings import Settings
from feature_store.tiles import DAY_MS
from feature_store.topics import INTERACTIONS

SCALES: Final = (1, 4, 16)
#: At 1x, as in `bench-growth`.
EVENTS_PER_USER, EVENTS_PER_ITEM = 20, 100
SPAN_MS: Final = 28 * DAY_MS
CHUNK: Final = 100_000


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one size; `land` and `recount` are seconds of processor time."""

    scale: int
    messages: int
    tiles: int
    land_cpu_s: float
    recount_cpu_s: float
    wall_s: float

    @property
    def us_per_message(self) -> float:
        """Microseconds of processor time, both together."""
        return round(1e6 * (self.land_cpu_s + self.recount_cpu_s) / self.messages, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=100_000, help="Messages at 1x.")
    events = parser.parse_args().events
    spark = session("bench-batch-growth")
    measure(spark, 1, events)
    points = [measure(spark, scale, events) for scale in SCALES]
    report("batch_growth", {**figures(points), **machine()})


def measure(spark: SparkSession, scale: int, events: int) -> Point:
    """Lands and recounts a log of one size, in a lake of its own."""
    events *= scale
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as temporary:
        root = Path(temporary)
        _preload(root / "messages", events)
        settings, lake = Settings(lake=root / "lake"), Lake(root / "lake")
        messages = spark.read.parquet(str(root / "messages"))
        extent = Extent(settings.topic(INTERACTIONS.name), "bench", {0: 0}, {0: events})
        begun, used = time.monotonic(), _cpu_s()
        land_topic(lambda _: messages, lake, extent, INTERACTIONS.name)
        landed = _cpu_s()
        counted = recount(spark, settings, load(settings.features), lake)
        costs = (landed - used, _cpu_s() - landed, time.monotonic() - begun)
        point = Point(scale, events, counted.tiles, *(round(cost, 1) for cost in costs))
    say(f"{scale:>2}x: {events:,} messages, {point.us_per_message} us each, {point.wall_s} s")
    return point


def figures(points: list[Point]) -> dict[str, Any]:
    """Every point, and the cost of a message at the largest size beside that at the smallest."""
    ratio = points[-1].us_per_message / points[0].us_per_message
    return {"points": [asdict(point) for point in points], "cost_ratio": round(ratio, 2)}


def _preload(directory: Path, events: int) -> None:
    """The raw messages as Kafka's source would give them, appended as their events happen."""
    users, items = events // EVENTS_PER_USER, events // EVENTS_PER_ITEM
    log = make(events, users, items, SPAN_MS, time.time_ns() // 1_000_000)
    directory.mkdir()
    lines, times = log.lines(), log.times
    for first in range(0, events, CHUNK):
        number = min(CHUNK, events - first)
        values = [next(lines).rstrip("\n").partition("\t")[2].encode() for _ in range(number)]
        table = pa.table(
            {
                "partition": pa.array([0] * number, pa.int32()),
                "offset": pa.array(range(first, first + number), pa.int64()),
                "append_time": pa.array(times[first : first + number], pa.int64()),
                "key": pa.nulls(number, pa.binary()),
                "value": pa.array(values, pa.binary()),
            }
        )
        pq.write_table(table, directory / f"{first:09}.parquet")


def _cpu_s() -> float:
    """Seconds of processor time so far: this process and all it has started."""
    own = psutil.Process()
    times = [one.cpu_times() for one in (own, *own.children(recursive=True))]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


if __name__ == "__main__":
    main()
