"""Baseline: Flink's own ceiling, the least that any exact feature job must do.

Fair, because nothing of it is ours: Flink's built-in JSON format decodes six fields, its
deduplication drops copies, two of its aggregates count per user and per item and day, and
everything goes to a black hole. The environment (state backend, mini-batch, checkpoints) is the
hot job's own, and so is the parallelism. In its favour: no validation, no dead letters, one level
of tiles, one aggregate per entity, no recents, no trending, and no store to write to.
"""

from __future__ import annotations

from pyflink.table import StatementSet, StreamTableEnvironment

from feature_store.settings import Settings
from feature_store.tiles import DAY_MS
from feature_store.topics import INTERACTIONS
from streaming.job import DEPLOYMENTS, environment

SOURCE = """
CREATE TEMPORARY TABLE interactions (
  event_id STRING, user_id STRING, item_id STRING, type STRING, event_time BIGINT, quantity BIGINT,
  arrival AS PROCTIME()
) WITH (
  'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{kafka}',
  'properties.group.id' = '{namespace}-ceiling', 'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset', 'format' = 'json'
)"""
APPLIED = """
CREATE TEMPORARY VIEW applied AS
SELECT event.* FROM (
  SELECT event, ROW_NUMBER() OVER (PARTITION BY user_id, event_id ORDER BY arrival ASC) AS copy
  FROM (
    SELECT user_id, event_id, arrival, CAST(ROW(user_id, item_id, event_time)
      AS ROW<user_id STRING, item_id STRING, event_time BIGINT>) AS event
    FROM interactions
  )
) WHERE copy = 1"""
COUNTS = """
INSERT INTO counted
SELECT {key}, event_time - MOD(event_time, {day_ms}) AS tile_start, COUNT(*) AS events
FROM applied GROUP BY {key}, event_time - MOD(event_time, {day_ms})"""


def build(t_env: StreamTableEnvironment, settings: Settings) -> StatementSet:
    """Decode, deduplicate, count twice, drop."""
    t_env.execute_sql(
        SOURCE.format(
            topic=settings.topic(INTERACTIONS.name),
            kafka=settings.kafka,
            namespace=settings.namespace,
        )
    )
    t_env.execute_sql(APPLIED)
    t_env.execute_sql(
        "CREATE TEMPORARY TABLE counted (id STRING, tile_start BIGINT, events BIGINT) "
        "WITH ('connector' = 'blackhole')"
    )
    job = t_env.create_statement_set()
    for key in ("user_id", "item_id"):
        job.add_insert_sql(COUNTS.format(key=key, day_ms=DAY_MS))
    return job


def main() -> None:
    settings = Settings()
    t_env = environment(settings, DEPLOYMENTS["hot"])
    t_env.get_config().set("pipeline.name", "flink_ceiling")
    # The source is bounded, and its end must not wait for one more checkpoint.
    t_env.get_config().set("execution.checkpointing.checkpoints-after-tasks-finish", "false")
    build(t_env, settings).execute()


if __name__ == "__main__":
    main()
