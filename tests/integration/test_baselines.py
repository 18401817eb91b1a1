"""Nobody compares different work: every baseline that writes, writes what our rules say."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.baselines.kafka_python import consume
from benchmarks.log import make
from benchmarks.sides import BASELINES
from benchmarks.stage import Stage
from benchmarks.written import check, wait_until_written
from feature_store.reference import fold, ring
from feature_store.settings import Settings
from feature_store.stores.redis import RedisStore
from feature_store.tiles import HOUR_MS, Tile
from infra.stack.jobs import cancel, submit
from infra.stack.stack import Stack
from infra.stack.wanted import Wanted
from tests.kafka_log import read_log

EVENTS, USERS, ITEMS = 2000, 60, 30


@pytest.fixture
def stage(stack: Stack, settings: Settings) -> Stage:
    return Stage(stack, settings)


def expected(stage: Stage) -> set[Tile]:
    """What the reference engine makes of the topic."""
    log = read_log(stage.settings, "user-interactions")
    tiles = fold(stage.features, log, stage.settings.horizon_ms).tiles()
    return set(ring(tiles).values())


@pytest.mark.parametrize("baseline", ["kafka_python", "pyflink_keyed"])
def test_a_baseline_writes_the_tiles_of_the_reference_engine(stage: Stage, baseline: str) -> None:
    log = make(EVENTS, USERS, ITEMS, 40 * HOUR_MS, time.time_ns() // 1_000_000)
    stage.preload(log)
    if baseline == "kafka_python":
        consume(stage.settings, log.messages)
    else:
        _run(stage, BASELINES / f"{baseline}.py")
    wait_until_written(stage, log, timeout_s=240)
    if baseline != "kafka_python":
        cancel(stage.stack, stage.settings.namespace)
    store = RedisStore.connect(stage.settings)
    check(store, log)
    assert set(store.scan_tiles()) == expected(stage)


def _run(stage: Stage, script: Path) -> None:
    name = stage.settings.namespace
    told = {"MILLRACE_NAMESPACE": name, "MILLRACE_HORIZON_HOURS": "48"}
    submit(stage.stack, Wanted(name=name, title=name, script=str(script), environment=told))
