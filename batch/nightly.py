"""The nightly: from Kafka's log to `@champion`. Run by `spark-submit batch/nightly.py`.

Killed anywhere, run it again: every stage writes its manifest last and begins from the one before.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from pyspark.sql import SparkSession
from threadpoolctl import threadpool_limits

from batch.bases import write_bases
from batch.broker import BrokerUnavailable
from batch.files import write_json
from batch.fit import fit_content
from batch.gate import try_canary
from batch.history import NothingToLearn, read
from batch.lake import Lake, LakeBusy
from batch.land import land
from batch.learn import Teacher, learn
from batch.progress import Progress
from batch.publish import Published, publish, write_bundle
from batch.recipe import Recipe
from batch.recount import recount, recounted_tiles
from batch.session import session
from batch.summary import print_summary
from batch.validate import DataRefused, validate
from feature_store.declaration import Declaration, DeclarationError, load
from feature_store.settings import Settings
from feature_store.tiles import BASE
from models.registry import Registry, RegistryUnavailable

STAGES = 9


def nightly(spark: SparkSession, settings: Settings, recipe: Recipe) -> dict[str, Any]:
    """The whole night; returns its summary, as written to `<lake>/nightly.json`."""
    declaration, lake = load(settings.features), Lake(settings.lake)
    progress = Progress("nightly", STAGES)
    facts = land_and_recount(spark, settings, declaration, lake, progress)
    with progress.stage("read history") as said:
        history = read(spark, settings, lake)
        teacher = Teacher(spark, declaration, history, fit_content(history), recipe)
        said.append(f"{len(history.events)} events, {len(history.items.ids)} items")
    lesson = learn(teacher, progress)
    with progress.stage("publish") as said:
        path = write_bundle(settings, lake, teacher, lesson)
        registry = Registry(settings.mlflow, settings.namespace, patience_s=60)
        done = publish(registry, path, recipe, lesson, try_canary(path, declaration))
        said.append(f"{path.name} {'promoted' if done.verdict.passed else 'not promoted'}")
    facts.update(
        **_outcome(done),
        measures=lesson.measures.report() if lesson.measures else None,
        seconds=progress.seconds,
    )
    write_json(lake.root / "nightly.json", facts)
    return facts


def land_and_recount(
    spark: SparkSession,
    settings: Settings,
    declaration: Declaration,
    lake: Lake,
    progress: Progress,
) -> dict[str, Any]:
    """The part that needs no model; raises `DataRefused` when the data gate stays shut."""
    with progress.stage("land") as said:
        landings = land(spark, settings, lake)
        said.append(f"{sum(landing.rows for landing in landings)} new messages")
        said += [f"{x.lost} of {x.topic} LOST to retention" for x in landings if x.lost]
    with progress.stage("validate") as said:
        report = validate(spark, settings, lake)
        said.append(f"{report.checks} checks, {len(report.failures)} failed")
    report.require()
    with progress.stage("recount") as said:
        counted = recount(spark, settings, declaration, lake)
        said.append(f"{counted.tiles} tiles")
        said.extend(write_bases(settings, list(recounted_tiles(lake, BASE))))
    landed = {landing.topic: lake.landed(landing.topic) for landing in landings}
    return {
        "landed": {topic: {"rows": x.rows, "invalid": x.invalid} for topic, x in landed.items()},
        "new": {landing.topic: asdict(landing) for landing in landings},
        "offsets": {topic: x.offsets for topic, x in landed.items()},
        "checks": report.checks,
        "tiles": counted.tiles,
    }


def _outcome(done: Published) -> dict[str, Any]:
    champion = done.champion
    return {
        "bundle": done.version.bundle_id,
        "version": done.version.version,
        "champion": champion.version if champion else None,
        "champion_bundle": champion.bundle_id if champion else None,
        "gate": {"passed": done.verdict.passed, "reasons": done.verdict.reasons},
    }


def main() -> int:
    """Runs the night; 0 when it did its work, 1 with one sentence when it could not."""
    parser = argparse.ArgumentParser(description="From Kafka's log to @champion.")
    parser.add_argument("--recount-only", action="store_true", help="Land, check and recount only.")
    options = parser.parse_args()
    settings = Settings()
    lake = Lake(settings.lake)
    try:
        with lake.locked(), threadpool_limits(1):
            spark = session("millrace-nightly")
            if options.recount_only:
                progress = Progress("recount", 3)
                land_and_recount(spark, settings, load(settings.features), lake, progress)
            else:
                print_summary(nightly(spark, settings, Recipe()))
    except (
        BrokerUnavailable, DataRefused, DeclarationError, LakeBusy, NothingToLearn,
        RegistryUnavailable,
    ) as expected:  # fmt: skip
        print(f"[nightly] failed: {expected}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
