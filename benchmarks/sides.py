"""The sides of `bench-ingest`: each takes a filled topic and returns how many seconds it took."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from benchmarks import flink
from benchmarks.log import Log
from benchmarks.stage import Stage
from benchmarks.written import check, wait_until_written
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from infra.drain import drain, end_offsets
from infra.stack.jobs import cancel, submit
from infra.stack.streaming import deploy
from infra.stack.wanted import Wanted

BASELINES: Final = Path(__file__).with_name("baselines")
Side = Callable[[Stage, Log], float]


def hot(stage: Stage, log: Log) -> float:
    """Our job into Redis, as `millrace stream submit hot` runs it."""
    deploy(stage.stack, "hot")
    return _into_redis(stage, log, "hot")


def kept(stage: Stage, log: Log) -> float:
    """Our job into Cassandra: half a minute per mini-batch, so its end is taken by checkpoint."""
    until = end_offsets(stage.settings)
    deploy(stage.stack, "kept")
    begun = flink.running_since(stage.stack, "kept")
    drain(stage.stack, stage.settings, "kept", until, timeout_s=1800)
    seconds = time.time() - begun
    cancel(stage.stack, "kept")
    store = CassandraStore.connect(stage.settings)
    check(store, log)
    store.close()
    return seconds


def kafka_python(stage: Stage, log: Log) -> float:
    """The plain consumer; it says itself when its first message came and its last was written."""
    command = [sys.executable, str(BASELINES / "kafka_python.py"), "--messages", str(log.messages)]
    done = subprocess.run(
        command, env=stage.stack.children_environment(), stdout=subprocess.PIPE, check=True
    )
    told = json.loads(done.stdout)
    wait_until_written(stage, log, timeout_s=1)
    check(RedisStore.connect(stage.settings), log)
    return float(told["ended"] - told["begun"])


def pyflink_keyed(stage: Stage, log: Log) -> float:
    """The same features as keyed state in Python."""
    _submit(stage, "pyflink_keyed")
    return _into_redis(stage, log, "pyflink_keyed")


def flink_ceiling(stage: Stage, log: Log) -> float:
    """Flink alone, into a black hole; the job ends with the log."""
    _submit(stage, "flink_ceiling")
    ended = flink.wait_until_finished(stage.stack, "flink_ceiling")
    return ended - flink.running_since(stage.stack, "flink_ceiling")


#: Every side by name, in the order in which they run.
SIDES: Final[dict[str, Side]] = {
    side.__name__: side for side in (hot, kept, kafka_python, flink_ceiling, pyflink_keyed)
}
#: Sides so slow that a sample of the log must do.
SAMPLED: Final = ("pyflink_keyed",)


def services(chosen: Collection[str]) -> list[str]:
    """What has to run for the chosen sides."""
    needed = ["kafka", "redis", "flink-jobmanager", "flink-taskmanager"]
    return [*needed, "cassandra"] if "kept" in chosen else needed


def _into_redis(stage: Stage, log: Log, name: str) -> float:
    begun = flink.running_since(stage.stack, name)
    ended = wait_until_written(stage, log)
    cancel(stage.stack, name)
    check(RedisStore.connect(stage.settings), log)
    return ended - begun


def _submit(stage: Stage, name: str) -> None:
    """Submits a baseline's job with the parallelism of ours, which is that of `Wanted`."""
    script = str(BASELINES / f"{name}.py")
    submit(stage.stack, Wanted(name=name, title=name, script=script))
