"""The data gate: what a night's data must look like before anything is learned from it.

Spark reduces the night's landing, and each day that is complete and was not judged yet, to one row
of numbers; the days before say what is usual; the suites say what is a fault.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from batch.day_profile import DayProfile, day_of, earlier, profiles
from batch.expectations import Subject, examine
from batch.files import read_json, write_json
from batch.lake import Lake
from batch.manifest import Landed
from batch.suites import DAY, ITEMS, LOG, PROFILES, RECENT_DAYS, applicable, judged
from feature_store import topics
from feature_store.settings import Settings
from feature_store.tiles import HOUR_MS

#: Days that are judged in one night, at most; older ones were not looked at for a reason.
MOST_DAYS: Final = 7
#: So many refused messages are nobody's fault, however quiet the night.
CARELESS: Final = 5
#: Of fewer known items or users, nothing is said about the share that was deleted.
FEWEST_KNOWN: Final = 50
PASSED: Final = "validated.json"
ACCEPTED: Final = "accepted.json"


class DataRefused(Exception):
    """The data gate stays shut: nothing is trained or promoted."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the suites found: `failures` are sentences, `docs` is the directory of the pages.

    `measures` by subject, for plots; `days` are those that were judged.
    """

    checks: int
    failures: tuple[str, ...]
    days: tuple[str, ...] = ()
    measures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    docs: Path | None = None

    def require(self) -> None:
        """Raises `DataRefused` with every failure, unless there is none."""
        if self.failures:
            raise DataRefused(
                "The data gate refused last night's data: " + "; ".join(self.failures)
                + ". Look at the dead-letter topics and at who sends; a day that is right as it is "
                "passes after `millrace lake accept DAY --because TEXT`. All checks: "
                f"{self.docs}/index.html"
            )  # fmt: skip


def validate(
    spark: SparkSession, settings: Settings, lake: Lake, docs: Path, now: int | None = None
) -> Report:
    """Judges what was landed since the last night that passed; `now` (ms) is the wall clock.

    The pages of Data Docs go into the directory `docs`. When nothing fails, the next night begins
    after it.
    """
    now = time.time_ns() // 1_000_000 if now is None else now
    landed = {topic.name: lake.landed(settings.topic(topic.name)) for topic in topics.INPUTS}
    passed = read_json(lake.root / PASSED) or {"day": "", "batches": {}}
    coming = Arrivals(spark, settings, lake, landed, passed["batches"])
    newest = coming.newest()
    accepted = read_json(lake.root / ACCEPTED) or {}
    quiet = day_of(now) in accepted
    subjects = [coming.log(newest, None if quiet else now), *coming.descriptions()]
    days = [*_to_judge(newest, passed["day"], accepted)]
    subjects += [coming.day(day) for day in days]
    shutil.rmtree(docs, ignore_errors=True)
    failures = tuple(examine(subjects, docs))
    if not failures:
        batches = {name: len(one.batches) for name, one in landed.items()}
        write_json(lake.root / PASSED, {"day": max([passed["day"], *days]), "batches": batches})
    checks = sum(len(applicable(one.checks, one.measures)) for one in subjects)
    measures = {one.name: one.measures for one in subjects}
    return Report(checks, failures, tuple(days), measures, docs)


def accept(lake: Lake, day: str, because: str) -> None:
    """Lets a day pass that the gate would refuse: a holiday, a strike, a sale."""
    known = read_json(lake.root / ACCEPTED) or {}
    write_json(lake.root / ACCEPTED, {**known, day: because})


@dataclass(frozen=True)
class Arrivals:
    """What was landed since the last night that passed: the batches after those."""

    spark: SparkSession
    settings: Settings
    lake: Lake
    landed: Mapping[str, Landed]
    passed: Mapping[str, int]

    def newest(self) -> int:
        """The append time (ms) of the newest interaction; 0 where there is none."""
        events = self.landed[topics.INTERACTIONS.name]
        last = [batch.name for batch in events.batches if batch.rows][-1:]
        if not last:
            return 0
        paths = [str(events.path(file)) for file in events.of_batches(last)]
        rows = self.spark.read.parquet(*paths).selectExpr("MAX(append_time)").collect()
        return int(rows[0][0])

    def log(self, newest: int, now: int | None) -> Subject:
        """The interactions as they were landed, refused ones too; no `now`: however old."""
        name = topics.INTERACTIONS.name
        measures = {"messages": float(self.landed[name].rows), **self._invalid(name)}
        if newest and now is not None:
            measures["hours_since_newest"] = (now - newest) / HOUR_MS
        return Subject(name, measures, LOG)

    def descriptions(self) -> Iterator[Subject]:
        """What was said of items and users this night, if anything."""
        for topic, checks in ((topics.ITEMS, ITEMS), (topics.PROFILES, PROFILES)):
            if self._coming(topic.name):
                measures = self._invalid(topic.name) | self._described(topic)
                yield Subject(topic.name, measures, checks)

    def day(self, day: str) -> Subject:
        """One day of events against those before it."""
        events, items = topics.INTERACTIONS, topics.ITEMS
        first = earlier(day, RECENT_DAYS)
        name = self.settings.topic(events.name)
        rows = self.lake.read(self.spark, name, events.name, first)
        rows.where("reason IS NULL").createOrReplaceTempView("judged_events")
        self._rows(items).createOrReplaceTempView("judged_items")
        self.spark.sql("""
            SELECT item_id, MAX_BY(GET(category, 0), append_time) AS category FROM judged_items
            WHERE reason IS NULL AND NOT deleted GROUP BY item_id
        """).createOrReplaceTempView("known_items")
        found = profiles(self.spark, "judged_events", "known_items", day)
        before = [one for at, one in found.items() if first <= at < day]
        measures = judged(found.get(day, DayProfile(day)), before)
        if not self.landed[items.name].rows:
            measures.pop("unknown", None)
        return Subject(f"day {day}", measures, DAY)

    def _coming(self, topic: str) -> Sequence[Any]:
        return self.landed[topic].batches[self.passed.get(topic, 0) :]

    def _invalid(self, topic: str) -> dict[str, float]:
        coming = self._coming(topic)
        rows, invalid = sum(b.rows for b in coming), sum(b.invalid for b in coming)
        return {"invalid_share": max(0, invalid - CARELESS) / rows} if rows else {}

    def _described(self, topic: topics.Topic) -> dict[str, float]:
        """Shares of this night's messages, and prices against those of before."""
        start = self._coming(topic.name)[0].start
        tonight = " OR ".join(
            f"(`partition` = {p} AND `offset` >= {at})" for p, at in start.items()
        )
        self._rows(topic).createOrReplaceTempView("described")
        (row,) = self.spark.sql(descriptions(topic, tonight)).collect()
        return {name: float(value) for name, value in row.asDict().items() if value is not None}

    def _rows(self, topic: topics.Topic) -> Any:
        return self.lake.read(self.spark, self.settings.topic(topic.name), topic.name)


def descriptions(topic: topics.Topic, tonight: str) -> str:
    """SQL of one row about the messages of the view `described` for which `tonight` holds.

    A share of what was known before is NULL when nothing was.
    """
    of_items = topic == topics.ITEMS
    title, price = ("title", "price_minor") if of_items else ("'none'", "0")
    return f"""
        WITH said AS (
            SELECT {topic.key} AS id, deleted, {title} AS title, {price} AS price, append_time,
                {tonight} AS tonight
            FROM described WHERE reason IS NULL),
        known AS (
            SELECT id, MAX_BY(price, append_time) AS price FROM said WHERE NOT tonight
            GROUP BY id HAVING NOT MAX_BY(deleted, append_time))
        SELECT AVG(IF(NOT said.deleted, INT(said.title = ''), NULL)) AS untitled_share,
            COUNT(DISTINCT IF(said.deleted, known.id, NULL))
                / (SELECT NULLIF(COUNT(*) * INT(COUNT(*) >= {FEWEST_KNOWN}), 0) FROM known)
                AS deleted_share,
            PERCENTILE(said.price / NULLIF(known.price, 0), 0.5) AS price_ratio
        FROM said LEFT JOIN known ON said.id = known.id WHERE tonight"""


def _to_judge(newest: int, passed: str, accepted: Mapping[str, str]) -> Iterator[str]:
    """The days that are over and were not judged yet; the first time, the last one of them."""
    last = earlier(day_of(newest), 1)
    first = max(earlier(passed, -1), earlier(last, MOST_DAYS - 1)) if passed else last
    while newest and first <= last:
        if first not in accepted:
            yield first
        first = earlier(first, -1)
