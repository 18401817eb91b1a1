"""Each offset of a topic is landed once, under the date of its event, wherever a run is killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from batch import compact, files, land, parquet
from batch.broker import Extent, Range
from batch.lake import Lake, LakeDamaged
from batch.land import Landing, LogShrank, land_topic
from batch.manifest import Gap, Landed
from batch.reland import reland
from batch.session import session
from feature_store.topics import INTERACTIONS
from tests.builders import DAY, NOON, Sent, purchase

TOPIC = "shop.clicks"
MESSAGES = pa.schema(
    [("partition", pa.int32()), ("offset", pa.int64()), ("append_time", pa.int64()),
     ("key", pa.binary()), ("value", pa.binary())]
)  # fmt: skip


class Topic:
    """A topic of one partition, in memory; `first` is the oldest offset it still has."""

    def __init__(self, spark: SparkSession, sent: Iterable[Sent], first: int = 0) -> None:
        self.sent, self.first, self.topic_id = list(sent), first, "id"
        self._spark = spark

    def read(self, wanted: Range) -> DataFrame:
        offsets = range(wanted.start[0], wanted.until[0])
        rows = [(0, n, self.sent[n].arrives, b"k", _bytes(self.sent[n].body)) for n in offsets]
        return self._spark.createDataFrame(pa.table([*zip(*rows, strict=True)], MESSAGES))

    def land(self, lake: Lake) -> Landing:
        extent = Extent(TOPIC, self.topic_id, {0: self.first}, {0: len(self.sent)})
        return land_topic(self.read, lake, extent, INTERACTIONS.name)


def _bytes(body: dict[str, Any] | bytes) -> bytes:
    return body if isinstance(body, bytes) else orjson.dumps(body)


@pytest.fixture(scope="module")
def spark() -> SparkSession:
    return session("land")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def bought(number: int, day: int = 0, arrives: int = NOON) -> list[Sent]:
    at = NOON - day * DAY
    return [purchase(f"u{n}", "milk", at=at, arrives=arrives, price=1.0) for n in range(number)]


def offsets(lake: Lake) -> list[int]:
    landed = lake.landed(TOPIC)
    paths = [landed.path(file) for file in landed.files]
    return sorted(n for path in paths for n in parquet.pq.read_table(path)["offset"].to_pylist())


def test_rows_are_filed_under_the_date_of_the_event_and_late_ones_join_their_day(
    spark: SparkSession, lake: Lake
) -> None:
    topic = Topic(spark, [*bought(3, day=1), *bought(2)])
    assert topic.land(lake).days == {"2026-03-09": 3, "2026-03-10": 2}
    topic.sent += [*bought(1, day=1, arrives=NOON + DAY), *bought(1, arrives=NOON + DAY)]
    assert topic.land(lake) == Landing(TOPIC, 2, 0, 0, {"2026-03-09": 1, "2026-03-10": 1})
    late = lake.landed(TOPIC).since("2026-03-10")
    assert [file.rows for file in late] == [2, 1]
    assert offsets(lake) == list(range(7))
    assert topic.land(lake) == Landing(TOPIC, 0, 0, 0, {})


def test_what_is_refused_is_kept_under_the_date_of_its_arrival(
    spark: SparkSession, lake: Lake
) -> None:
    landing = Topic(spark, [Sent(b"{broken", NOON), *bought(1, day=1)]).land(lake)
    assert (landing.rows, landing.invalid) == (2, 1)
    assert [(file.day, file.invalid) for file in lake.landed(TOPIC).files] == [
        ("2026-03-09", 0), ("2026-03-10", 1),
    ]  # fmt: skip


def test_times_of_rubbish_share_one_day(spark: SparkSession, lake: Lake) -> None:
    old = [purchase("u", "milk", at=n * DAY, arrives=NOON) for n in range(20)]
    assert Topic(spark, old).land(lake).days == {"2016-03-02": 20}


def test_a_topic_truncated_below_the_last_landed_offset_says_what_is_lost(
    spark: SparkSession, lake: Lake
) -> None:
    topic = Topic(spark, bought(3))
    topic.land(lake)
    topic.sent += bought(5)
    topic.first = 6
    assert (topic.land(lake).lost, lake.landed(TOPIC).gaps) == (3, [Gap("0", 3, 6)])
    assert offsets(lake) == [0, 1, 2, 6, 7]
    topic.sent += bought(2)
    topic.first = 10
    emptied = topic.land(lake)
    assert (emptied.rows, emptied.lost) == (0, 2)
    assert topic.land(lake).lost == 0
    assert lake.landed(TOPIC).gaps[-1] == Gap("0", 8, 10)


def test_a_topic_that_lost_its_end_is_not_taken_for_the_one_that_was_landed(
    spark: SparkSession, lake: Lake
) -> None:
    topic = Topic(spark, bought(3))
    topic.land(lake)
    topic.sent.pop()
    with pytest.raises(LogShrank, match="landed up to offset 3, but Kafka ends at 2"):
        topic.land(lake)


def test_a_topic_that_was_made_anew_is_landed_from_its_beginning(
    spark: SparkSession, lake: Lake
) -> None:
    topic = Topic(spark, bought(3))
    topic.land(lake)
    topic.topic_id = "another"
    assert topic.land(lake).rows == 3
    assert lake.landed(TOPIC).rows == 6


#: Where a run is killed: a step, and how often it is done before.
STEPS = [
    (land, "write", 0), (land, "described", 0), (parquet, "describe", 1), (files.os, "fsync", 2),
    (Lake, "add", 0), (Landed, "write", 0), (files, "sync", 0), (compact, "_merged", 0),
    (Lake, "replace", 0), (Landed, "write", 1),
]  # fmt: skip


class Killed(BaseException):
    """Nothing catches it."""


def killed_after(times: int, original: Callable[..., Any]) -> Callable[..., Any]:
    """The step, which is done a few times and then kills."""
    left = iter(range(times))

    def run(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise Killed
        return original(*arguments, **named)

    return run


@pytest.fixture(scope="module")
def begun(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Topic, Path]:
    """A topic of which two messages were landed."""
    topic, root = Topic(spark, bought(2, day=1)), tmp_path_factory.mktemp("lake")
    topic.land(Lake(root))
    return topic, root


@pytest.mark.parametrize(("place", "step", "times"), STEPS)
def test_each_offset_counts_once_wherever_a_run_is_killed(
    begun: tuple[Topic, Path],
    lake: Lake,
    spark: SparkSession,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    step: str,
    times: int,
) -> None:
    shutil.copytree(begun[1], lake.root, dirs_exist_ok=True)
    topic = Topic(spark, [*begun[0].sent, *bought(2, day=1)])
    monkeypatch.setattr(land, "compact", partial(compact.compact, files=1))
    with monkeypatch.context() as patched:
        patched.setattr(place, step, killed_after(times, getattr(place, step)))
        with pytest.raises(Killed):
            topic.land(lake)
    assert offsets(lake) in ([0, 1], list(range(4)))
    topic.sent += bought(1)
    topic.land(lake)
    assert offsets(lake) == list(range(5))
    assert (lake.landed(TOPIC).rows, lake.verify(TOPIC)) == (5, [])


def damage(lake: Lake, day: str) -> None:
    landed = lake.landed(TOPIC)
    for file in landed.files:
        if file.day == day:
            landed.path(file).write_bytes(b"rubbish")


def again(topic: Topic, lake: Lake) -> dict[str, int]:
    extent = Extent(TOPIC, topic.topic_id, {0: topic.first}, {0: len(topic.sent)})
    return reland(topic.read, lake, extent, INTERACTIONS.name)


def test_a_damaged_day_is_landed_again_and_the_others_are_left_alone(
    begun: tuple[Topic, Path], spark: SparkSession, lake: Lake
) -> None:
    shutil.copytree(begun[1], lake.root, dirs_exist_ok=True)
    topic = Topic(spark, [*begun[0].sent, *bought(1, day=1), *bought(2)])
    topic.land(lake)
    untouched = lake.landed(TOPIC).since("2026-03-10")
    damage(lake, "2026-03-09")
    assert again(topic, lake) == {"2026-03-09": 3}
    assert offsets(lake) == list(range(5))
    assert lake.landed(TOPIC).since("2026-03-10") == untouched
    assert again(topic, lake) == {}


def test_what_kafka_no_longer_has_is_not_invented(begun: tuple[Topic, Path], lake: Lake) -> None:
    shutil.copytree(begun[1], lake.root, dirs_exist_ok=True)
    damage(lake, "2026-03-09")
    topic = Topic(begun[0]._spark, begun[0].sent, first=1)
    with pytest.raises(LakeDamaged, match=r"no longer has.*deleted.*part-.*parquet from a backup"):
        again(topic, lake)
