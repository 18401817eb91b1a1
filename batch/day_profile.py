"""What each day of events looks like: a few numbers and histograms, counted by Spark.

A day is the UTC date of the events. Only the days asked for are read from the lake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from pyspark.sql import SparkSession

from feature_store.tiles import DAY_MS, HOUR_MS

#: Larger quantities are another unit (petrol in millilitres), whatever the day.
MOST_PIECES: Final = 100
#: What is counted of each day; over the view `profiled`.
TOTALS: Final = f"""
    SELECT day, COUNT(*) AS events, COUNT(DISTINCT actor) AS actors,
        COUNT(*) - COUNT(DISTINCT actor, event_id) AS copies,
        COUNT_IF(item_id <> '') AS with_item, COUNT_IF(item_id <> '' AND NOT known) AS unknown,
        COUNT_IF(type = 'purchase') AS purchases,
        COUNT_IF(type = 'purchase' AND price_minor = 0) AS unpriced,
        COALESCE(PERCENTILE(price_minor, 0.5) FILTER (
            WHERE type = 'purchase' AND price_minor > 0), 0D) AS price,
        COALESCE(AVG(quantity) FILTER (
            WHERE type = 'purchase' AND quantity <= {MOST_PIECES}), 0D) AS quantity,
        COUNT_IF(type = 'purchase' AND quantity > {MOST_PIECES}) AS bulk,
        COUNT_IF(country = '') AS no_country, COUNT_IF(device = '') AS no_device
    FROM profiled GROUP BY day"""
#: How the events of a day are spread; over the same view.
SPREAD: Final = f"""
    SELECT day, 'type' AS part, type AS name, COUNT(*) AS events FROM profiled GROUP BY day, type
    UNION ALL
    SELECT day, 'hour', STRING(event_time DIV {HOUR_MS} % 24), COUNT(*) FROM profiled
    GROUP BY day, event_time DIV {HOUR_MS} % 24
    UNION ALL
    SELECT day, 'category', category, COUNT(*) FROM profiled
    WHERE category IS NOT NULL GROUP BY day, category
    UNION ALL
    SELECT day, 'actor', MAX_BY(actor, n), MAX(n) FROM (
        SELECT day, actor, COUNT(*) AS n FROM profiled GROUP BY day, actor) GROUP BY day
    UNION ALL
    SELECT day, 'item', MAX_BY(item_id, n), MAX(n) FROM (
        SELECT day, item_id, COUNT(*) AS n FROM profiled WHERE item_id <> '' GROUP BY day, item_id
    ) GROUP BY day"""


@dataclass(frozen=True)
class DayProfile:
    """One day; `totals` by name as in `TOTALS`, `spread` ("type", "hour", …) -> name -> events.

    Of actors and items, `spread` has the busiest one only. `repeats` is the largest share of its
    events that some other day has too: same actor, item, type and time of day.
    """

    day: str
    totals: Mapping[str, float] = field(default_factory=Counter)
    spread: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    repeats: float = 0.0

    @property
    def events(self) -> float:
        """How many there were."""
        return self.totals.get("events", 0)

    def share(self, part: str, whole: str = "events") -> float:
        """One total as a share of another; 0 of nothing."""
        return self.totals.get(part, 0) / max(1, self.totals.get(whole, 0))

    def busiest(self, of: str) -> float:
        """The share of the busiest actor or item."""
        return max(self.spread.get(of, {}).values(), default=0) / max(1, self.events)


def profiles(spark: SparkSession, events: str, items: str, judged: str) -> dict[str, DayProfile]:
    """Every day of the view `events` (accepted rows), by its date; `items` is the known catalogue.

    `items` has item_id and category (the broadest). Only for the day `judged` are repeats counted.
    """
    spark.sql(f"""
        SELECT e.*, CAST(DATE(TIMESTAMP_MILLIS(event_time)) AS STRING) AS day, i.category,
            i.item_id IS NOT NULL AS known
        FROM {events} AS e LEFT JOIN {items} AS i ON e.item_id = i.item_id
    """).persist().createOrReplaceTempView("profiled")
    try:
        totals = {row.day: row.asDict() for row in spark.sql(TOTALS).collect()}
        spread: dict[str, dict[str, dict[str, int]]] = {}
        for row in spark.sql(SPREAD).collect():
            spread.setdefault(row.day, {}).setdefault(row.part, {})[row.name] = row.events
        repeats = spark.sql(_repeats(judged)).collect()[0][0]
    finally:
        spark.table("profiled").unpersist()
    return {
        day: DayProfile(day, _numbers(of), spread[day], repeats if day == judged else 0.0)
        for day, of in totals.items()
    }


def day_of(moment: int) -> str:
    """The date (`2026-03-10`) of a moment in ms."""
    return (date(1970, 1, 1) + timedelta(days=moment // DAY_MS)).isoformat()


def earlier(day: str, days: int) -> str:
    """The date that many days before."""
    return (date.fromisoformat(day) - timedelta(days=days)).isoformat()


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items() if name != "day"}


def _repeats(judged: str) -> str:
    """SQL of the largest share of the day `judged` that one other day has, too."""
    same = f"actor, item_id, type, event_time % {DAY_MS} AS moment"
    return f"""
        WITH this AS (SELECT {same} FROM profiled WHERE day = '{judged}')
        SELECT COALESCE(MAX(n) / NULLIF((SELECT COUNT(*) FROM this), 0), 0D)
        FROM (
            SELECT other.day, COUNT(*) AS n
            FROM this
            JOIN (SELECT DISTINCT day, {same} FROM profiled WHERE day <> '{judged}') AS other
            USING (actor, item_id, type, moment)
            GROUP BY other.day)"""
