"""The nightly: from Kafka's log to `@champion`. Run by `spark-submit batch/nightly.py`.

Killed anywhere, run it again: it goes on after the last stage that finished.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pyspark.sql import SparkSession
from threadpoolctl import threadpool_limits

from batch.broker import BrokerUnavailable
from batch.files import write_json
from batch.history import NothingToLearn
from batch.lake import Lake
from batch.manifest import LakeError
from batch.night import Tonight
from batch.recipe import Recipe
from batch.session import session
from batch.summary import print_summary
from batch.tune import tuned
from batch.validate import DataRefused
from feature_store.declaration import DeclarationError
from feature_store.settings import Settings
from models.registry import RegistryUnavailable


def nightly(
    spark: SparkSession, settings: Settings, recipe: Recipe, if_needed: bool = False
) -> dict[str, Any]:
    """The whole night; returns its summary, as written to `<lake>/nightly.json`."""
    tonight = Tonight.begin(spark, settings, recipe)
    facts = exact(tonight) | tonight.reconcile()
    need = tonight.need()
    facts["why"] = need.why
    if need.learn or not if_needed:
        facts |= tonight.compare()
        facts |= tonight.learn()
        facts |= tonight.judge()
        facts |= tonight.publish()
        facts |= tonight.precompute()
    else:
        facts |= tonight.skip(facts)
    write_json(settings.lake / "nightly.json", facts := tonight.finish(facts))
    return facts


def exact(tonight: Tonight) -> dict[str, Any]:
    """The part that needs no model; raises `DataRefused` when the data gate stays shut."""
    return tonight.landed() | tonight.validate() | tonight.recount()


def main() -> int:
    """Runs the night; 0 when it did its work, 1 with one sentence when it could not."""
    parser = argparse.ArgumentParser(description="From Kafka's log to @champion.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--recount-only", action="store_true", help="Land, check and recount only.")
    mode.add_argument(
        "--if-needed",
        action="store_true",
        help="Learn only when there is no champion, recipe or code changed, 2 %% more interactions "
        "came, the model is 7 days old, or what people do has drifted; says why.",
    )
    options = parser.parse_args()
    settings = Settings()
    lake = Lake(settings.lake)
    try:
        with lake.locked(), threadpool_limits(1):
            recipe = tuned(lake, Recipe())
            spark = session("millrace-nightly")
            if options.recount_only:
                tonight = Tonight.begin(spark, settings, recipe, go_on=False)
                tonight.finish(exact(tonight))
            else:
                print_summary(nightly(spark, settings, recipe, options.if_needed))
    except (
        BrokerUnavailable, DataRefused, DeclarationError, LakeError, NothingToLearn,
        RegistryUnavailable,
    ) as expected:  # fmt: skip
        print(f"[nightly] failed: {expected}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
