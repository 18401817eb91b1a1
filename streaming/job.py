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

from pyflink.table import DataTypes, EnvironmentSettings, StatementSet, StreamTableEnvironment
from pyflink.table.udf import udf

from feature_store import declaration
from feature_store.declaration import Declaration, Entity
from feature_store.settings import Settings
from feature_store.tiles import DAY_MS, replay_since
from feature_store.topics import INTERACTIONS, ITEMS, PROFILES
from streaming import compiler, sinks, sources, trending


@dataclass(frozen=True, slots=True)
class Deployment:
    """What differs between the two jobs."""

    name: str
    store: str
    latency_ms: int
    bundle_ms: int
    trending_pace_s: int
    checkpoint_s: int
    dead_letters: bool
    generation: int = 0

    @property
    def run(self) -> str:
        """What tells the generations apart on the cluster and on the broker."""
        return f"{self.name}-g{self.generation}" if self.generation else self.name


DEPLOYMENTS: Final = {
    "hot": Deployment("hot", "redis", 100, 50, 1, 10, dead_letters=True),
    "kept": Deployment("kept", "cassandra", 30_000, 1000, 30, 60, dead_letters=False),
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
    sinks.register(t_env, "write_recents", sinks.WriteRecents(store))
    version = (settings.epoch, deployment.generation)
    sinks.register(t_env, "write_trending", sinks.WriteTrendingTiles(store, *version))
    for entity in Entity:
        tiles = sinks.WriteTiles(store, entity, *version)
        sinks.register(t_env, f"write_{entity}_tiles", tiles)
        sinks.register(t_env, f"write_{entity}_records", sinks.WriteRecords(store, entity))
    publisher = trending.PublishTrending(store, deployment.trending_pace_s)
    t_env.create_temporary_system_function("publish", udf(publisher, result_type=DataTypes.INT()))
    t_env.execute_sql("CREATE TEMPORARY TABLE written (n BIGINT) WITH ('connector'='blackhole')")
    t_env.execute_sql(trending.TICKS)
    t_env.execute_sql(compiler.applied(settings.horizon_ms))

    job = t_env.create_statement_set()
    for entity, records in ((Entity.ITEM, "items"), (Entity.USER, "profiles")):
        if features.of(entity):
            job.add_insert_sql(
                f"INSERT INTO written SELECT write_{entity}_tiles(entity_id, ms, tile_start, "
                f"applied, body) FROM ({compiler.tiles(features, entity, since)})"
            )
        job.add_insert_sql(
            f"INSERT INTO written SELECT write_{entity}_records(record_key, append_time, "
            f"log_offset, record) FROM {records} WHERE reason IS NULL"
        )
    job.add_insert_sql(
        "INSERT INTO written SELECT write_recents(actor, event_time, event_id, type, item_id, "
        "quantity, price_minor, query_text) FROM applied"
    )
    write = "write_trending(ms, tile_start, item_id, applied, weight)"
    job.add_insert_sql(f"INSERT INTO written SELECT {write} FROM ({trending.tiles(since)})")
    job.add_insert_sql("INSERT INTO written SELECT CAST(publish(tick) AS BIGINT) FROM ticks")
    if deployment.dead_letters:
        for topic, view in (
            (INTERACTIONS, "interactions"),
            (ITEMS, "items"),
            (PROFILES, "profiles"),
        ):
            letters = sinks.dead_letters(t_env, settings, topic)
            job.add_insert_sql(
                f"INSERT INTO `{letters}` SELECT '{topic.name}', log_partition, log_offset, "
                f"append_time, reason, body FROM {view} WHERE reason IS NOT NULL"
            )
    return job


def environment(settings: Settings, deployment: Deployment) -> StreamTableEnvironment:
    """A streaming environment with the deployment's latency, state and checkpoints."""
    t_env = StreamTableEnvironment.create(
        environment_settings=EnvironmentSettings.in_streaming_mode()
    )
    # A day's tile may be added to for a day and H; and the job may be down for a day before that.
    state_life_ms = settings.horizon_ms + 2 * DAY_MS
    for key, value in {
        "pipeline.name": f"{settings.namespace}-{deployment.run}",
        "execution.checkpointing.interval": f"{deployment.checkpoint_s} s",
        "execution.checkpointing.timeout": "30 min",
        "table.exec.state.ttl": f"{state_life_ms} ms",
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": f"{deployment.latency_ms} ms",
        "table.exec.mini-batch.size": "20000",
        # Keys are many and even: combining before the exchange costs more than it saves.
        "table.optimizer.agg-phase-strategy": "ONE_PHASE",
        # One decode and one deduplication, however many statements read them.
        "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
        "python.fn-execution.bundle.time": str(deployment.bundle_ms),
        "python.fn-execution.bundle.size": "10000",
        "python.fn-execution.arrow.batch.size": "10000",
    }.items():
        t_env.get_config().set(key, value)
    return t_env


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
