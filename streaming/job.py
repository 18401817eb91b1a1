"""The whole Flink job: topics in, features out, into one store.

Submitted twice, as two deployments of the same code: *hot* writes Redis within the freshness
budget, *kept* writes Cassandra twice a minute. Each waits for its own store and neither notices
the other.

    flink run -py streaming/job.py --deployment hot
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from typing import Final

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import DataTypes, StatementSet, StreamTableEnvironment
from pyflink.table.udf import udf

from feature_store import declaration
from feature_store.declaration import Declaration, Entity
from feature_store.settings import Settings
from feature_store.tiles import DAY_MS, replay_since
from feature_store.topics import INTERACTIONS, ITEMS, PROFILES
from streaming import compiler, sinks, sources, steps, trending


@dataclass(frozen=True, slots=True)
class Deployment:
    """What differs between the two jobs."""

    name: str
    store: str
    latency_ms: int
    gathered_rows: int
    bundle_ms: int
    trending_pace_s: int
    checkpoint_s: int
    sink: sinks.Pace
    dead_letters: bool
    generation: int = 0

    @property
    def run(self) -> str:
        """What tells the generations apart on the cluster and on the broker."""
        return f"{self.name}-g{self.generation}" if self.generation else self.name


DEPLOYMENTS: Final = {
    "hot": Deployment(
        "hot",
        "redis",
        latency_ms=100,
        gathered_rows=20_000,
        bundle_ms=50,
        trending_pace_s=2,
        checkpoint_s=20,
        sink=sinks.Pace(20_000, 5),
        dead_letters=True,
    ),
    "kept": Deployment(
        "kept",
        "cassandra",
        latency_ms=30_000,
        gathered_rows=100_000,
        bundle_ms=1000,
        trending_pace_s=30,
        checkpoint_s=120,
        sink=sinks.Pace(20_000, 1000),
        dead_letters=False,
    ),
}


def build(
    t_env: StreamTableEnvironment,
    settings: Settings,
    features: Declaration,
    deployment: Deployment,
    since: int,
) -> StatementSet:
    """Every statement of the job. `since` (ms) is where the log is read from."""
    store = sinks.PatientStore(deployment.store, settings)
    group = f"{settings.namespace}-{deployment.run}"
    sources.register(t_env, settings, group, since)
    sinks.register_tables(t_env, settings, deployment.store, deployment.generation, deployment.sink)
    publisher = trending.PublishTrending(store, deployment.trending_pace_s)
    t_env.create_temporary_system_function("publish", udf(publisher, result_type=DataTypes.INT()))
    t_env.execute_sql("CREATE TEMPORARY TABLE written (n BIGINT) WITH ('connector'='blackhole')")
    t_env.execute_sql(trending.TICKS)
    compiler.register_functions(t_env)
    applied = steps.first_copies(
        t_env, t_env.from_path("interactions"), settings.horizon_ms, _remembered_ms(settings)
    )
    t_env.create_temporary_view("applied", applied)

    job = t_env.create_statement_set()
    for entity, records in ((Entity.ITEM, "items"), (Entity.USER, "profiles")):
        if features.of(entity):
            tiles = compiler.tiles(features, entity, since)
            job.add_insert_sql(f"INSERT INTO {entity}_tiles {tiles}")
        write = f"write_{entity}_records"
        sinks.register_records(t_env, write, sinks.WriteRecords(store, entity))
        job.add_insert_sql(
            f"INSERT INTO written SELECT {write}(record_key, append_time, log_offset, record) "
            f"FROM {records}"
        )
    job.add_insert_sql(
        "INSERT INTO recents SELECT actor, event_time, event_id, type, item_id, quantity, "
        "price_minor, query_text, append_time, traceparent FROM applied"
    )
    job.add_insert_sql(f"INSERT INTO trending_tiles {trending.tiles(since)}")
    job.add_insert_sql("INSERT INTO written SELECT CAST(publish(tick) AS BIGINT) FROM ticks")
    if deployment.dead_letters:
        for topic in (INTERACTIONS, ITEMS, PROFILES):
            letters = sinks.dead_letters(t_env, settings, topic)
            job.add_insert_sql(
                f"INSERT INTO `{letters}` SELECT '{topic.name}', log_partition, log_offset, "
                f"append_time, reason, body FROM `{topic.name}_letters`"
            )
    return job


def environment(settings: Settings, deployment: Deployment) -> StreamTableEnvironment:
    """A streaming environment with the deployment's latency, state and checkpoints."""
    config = Configuration()
    for key, value in {
        "pipeline.name": f"{settings.namespace}-{deployment.run}",
        "execution.checkpointing.interval": f"{deployment.checkpoint_s} s",
        "execution.checkpointing.timeout": "30 min",
        "table.exec.state.ttl": f"{_remembered_ms(settings)} ms",
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": f"{deployment.latency_ms} ms",
        "table.exec.mini-batch.size": str(deployment.gathered_rows),
        # A row waits for company on its way to the next task, but not for long.
        "execution.buffer-timeout.interval": f"{deployment.latency_ms // 10} ms",
        # No operator changes a row that it was given: no copies between them.
        "pipeline.object-reuse": "true",
        # Keys are many and even: combining before the exchange costs more than it saves.
        "table.optimizer.agg-phase-strategy": "ONE_PHASE",
        "python.fn-execution.bundle.time": str(deployment.bundle_ms),
        "python.fn-execution.bundle.size": "10000",
        "python.fn-execution.arrow.batch.size": "10000",
    }.items():
        config.set_string(key, value)
    return StreamTableEnvironment.create(
        StreamExecutionEnvironment.get_execution_environment(config)
    )


def _remembered_ms(settings: Settings) -> int:
    """A day's tile may be added to for a day and H; and the job may be down for a day before."""
    return settings.horizon_ms + 2 * DAY_MS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--deployment", choices=DEPLOYMENTS, required=True)
    parser.add_argument("--since", type=int, help="read the log from this append time (ms)")
    parser.add_argument("--generation", type=int, default=0, help="rises with each upgrade")
    arguments = parser.parse_args()
    settings = Settings()
    deployment = replace(DEPLOYMENTS[arguments.deployment], generation=arguments.generation)
    start = arguments.since or replay_since(time.time_ns() // 1_000_000, settings.horizon_ms)
    t_env = environment(settings, deployment)
    build(t_env, settings, declaration.load(settings.features), deployment, start).execute()


if __name__ == "__main__":
    main()
