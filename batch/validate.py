"""The data gate: what a night's data must look like before anything is learned from it.

Great Expectations stands behind this thin interface of ours: Spark reduces the log to one row a
day, the suites look at those rows, and a caller sees a `Report` with sentences.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pyspark.sql import DataFrame, SparkSession

from batch.lake import Lake
from feature_store.events import InteractionType
from feature_store.settings import Settings
from feature_store.topics import INTERACTIONS, ITEMS

if TYPE_CHECKING:
    import pandas as pd

#: More invalid messages than this mean that a producer is broken, not that one was careless.
MOST_INVALID = 0.05
#: Items without a title, at most.
MOST_UNTITLED = 0.2


class DataRefused(Exception):
    """The data gate stays shut: nothing is trained or promoted."""


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation of Great Expectations: its name there, and its arguments."""

    expectation: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """What the suites found; `failures` are sentences."""

    checks: int
    failures: tuple[str, ...]

    def require(self) -> None:
        """Raises `DataRefused` with every failure, unless there is none."""
        if self.failures:
            raise DataRefused(
                "The data gate refused last night's data: " + "; ".join(self.failures)
                + ". Look at the dead-letter topics and their producers, then run it again."
            )  # fmt: skip


def _between(column: str, least: float | None, most: float | None) -> Check:
    return Check(
        "ExpectColumnValuesToBeBetween", {"column": column, "min_value": least, "max_value": most}
    )


TOTAL = [_between("messages", 1, None), _between("invalid_share", 0, MOST_INVALID)]
DAYS = [
    Check("ExpectTableRowCountToBeBetween", {"min_value": 1}),
    Check("ExpectColumnValuesToNotBeNull", {"column": "day"}),
    *(_between(column, 0, 0) for column in ("no_actor", "no_event_id", "no_item", "unknown_type")),
    _between("least_quantity", 1, None),
    _between("most_quantity", None, 1_000_000),
    _between("least_price", 0, None),
    _between("ahead_of_arrival", 0, 0),
]
ITEM_TOTAL = [
    _between("invalid_share", 0, MOST_INVALID),
    _between("untitled_share", 0, MOST_UNTITLED),
    _between("least_price", 0, None),
]


def validate(spark: SparkSession, settings: Settings, lake: Lake) -> Report:
    """Runs every suite over what is landed."""
    interactions = lake.read(spark, settings.topic(INTERACTIONS.name), INTERACTIONS.name)
    items = lake.read(spark, settings.topic(ITEMS.name), ITEMS.name)
    interactions.createOrReplaceTempView("checked_interactions")
    items.createOrReplaceTempView("checked_items")
    suites = [
        ("interactions", _totals(spark, "checked_interactions"), TOTAL),
        ("interactions by day", _days(spark), DAYS),
    ]
    if lake.landed(settings.topic(ITEMS.name)).rows:
        suites.append(("items", _items(spark), ITEM_TOTAL))
    return examine([(name, frame.toPandas(), checks) for name, frame, checks in suites])


def examine(suites: Sequence[tuple[str, pd.DataFrame, Sequence[Check]]]) -> Report:
    """Runs checks over small frames with Great Expectations."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("nightly")
    failures: list[str] = []
    for name, frame, checks in suites:
        expectations = [getattr(gx.expectations, c.expectation)(**c.arguments) for c in checks]
        suite = gx.ExpectationSuite(name=name, expectations=expectations)
        asset = source.add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe(name).get_batch({"dataframe": frame})
        found = batch.validate(suite).results
        failures += [_sentence(name, result) for result in found if not result.success]
    return Report(sum(len(checks) for _, _, checks in suites), tuple(failures))


def _sentence(suite: str, result: Any) -> str:
    config = result.expectation_config
    limits = {name: config.kwargs.get(name) for name in ("min_value", "max_value")}
    wanted = {name: value for name, value in limits.items() if value is not None}
    found = result.result.get("partial_unexpected_list") or result.result.get("observed_value")
    column = config.kwargs.get("column", "rows")
    return f"{suite}: {column} is {found}, expected {wanted or config.type}"


def _totals(spark: SparkSession, view: str) -> DataFrame:
    return spark.sql(f"""
        SELECT COUNT(*) AS messages,
            COALESCE(AVG(IF(reason IS NULL, 0.0D, 1.0D)), 0.0D) AS invalid_share
        FROM {view}""")


def _days(spark: SparkSession) -> DataFrame:
    known = ", ".join(f"'{kind}'" for kind in get_args(InteractionType))
    return spark.sql(f"""
        SELECT CAST(DATE(TIMESTAMP_MILLIS(event_time)) AS STRING) AS day, COUNT(*) AS events,
            COUNT_IF(actor IS NULL OR actor = '') AS no_actor,
            COUNT_IF(event_id IS NULL OR event_id = '') AS no_event_id,
            COUNT_IF(item_id = '' AND type <> 'search') AS no_item,
            COUNT_IF(type IS NULL OR type NOT IN ({known})) AS unknown_type,
            MIN(quantity) AS least_quantity, MAX(quantity) AS most_quantity,
            MIN(price_minor) AS least_price,
            COUNT_IF(event_time > append_time + 300000) AS ahead_of_arrival
        FROM checked_interactions WHERE reason IS NULL GROUP BY 1""")


def _items(spark: SparkSession) -> DataFrame:
    return spark.sql("""
        SELECT AVG(IF(reason IS NULL, 0.0D, 1.0D)) AS invalid_share,
            COALESCE(AVG(CASE WHEN NOT deleted THEN IF(title = '', 1.0D, 0.0D) END), 0.0D)
                AS untitled_share,
            COALESCE(MIN(price_minor), 0) AS least_price
        FROM checked_items""")
