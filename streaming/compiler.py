"""From the declaration to Flink SQL: the tiles that the applied events make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from feature_store.declaration import Declaration, Entity
from feature_store.tiles import Level

if TYPE_CHECKING:
    from pyflink.table import StreamTableEnvironment

#: What SQL lacks, from the jar that goes with the job: `Distinct`, and the spelling of a body.
FUNCTIONS: Final = (
    "CREATE TEMPORARY SYSTEM FUNCTION bottom_k AS 'millrace.BottomK' LANGUAGE JAVA",
    "CREATE TEMPORARY SYSTEM FUNCTION tile_body AS 'millrace.TileBody' LANGUAGE JAVA",
)


def register_functions(t_env: StreamTableEnvironment) -> None:
    """Makes `FUNCTIONS` known to an environment that is to run these queries."""
    for function in FUNCTIONS:
        t_env.execute_sql(function)


def tiles(declaration: Declaration, entity: Entity, since: int) -> str:
    """A query of the entity's tiles, each row the absolute value of one tile that changed.

    Columns: entity id, level in ms, tile_start in ms, events applied, body (as `encode_body`).
    """
    values = ", ".join(
        f"'{feature.name}', {feature.sql('flink')}" for feature in declaration.of(entity)
    )
    return f"""
SELECT {entity.id_column} AS entity_id, ms, tile_start,
  COUNT(*) AS applied, tile_body({values}) AS body
FROM {levels(declaration.levels(entity), since)}
WHERE {entity.id_column} <> ''
GROUP BY {entity.id_column}, ms, tile_start"""


def levels(used: Sequence[Level], since: int) -> str:
    """The applied events, once per tile they belong to.

    An event too old, on arrival, for a level's ring is not applied to that level; a tile that
    began before the job's own start is not written.
    """
    branches = (
        f"""
  SELECT *, CAST({level.ms} AS BIGINT) AS ms, event_time - MOD(event_time, {level.ms}) AS tile_start
  FROM applied
  WHERE event_time - MOD(event_time, {level.ms}) >= {since}
    AND append_time - event_time <= {level.span_ms}"""
        for level in used
    )
    return f"({' UNION ALL '.join(branches)})"
