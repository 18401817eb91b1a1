"""From the declaration to Flink SQL: which events count, and the tiles they make."""

from __future__ import annotations

from collections.abc import Sequence

from feature_store.declaration import Declaration, Entity
from feature_store.tiles import Level

#: The first copy of an event by arrival, if it is younger than H. The fields travel as one row:
#: were they columns, each statement would prune its own and keep its own state of duplicates.
APPLIED = """
CREATE TEMPORARY VIEW applied AS
SELECT actor, event_id, event.*
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY actor, event_id ORDER BY arrival ASC) AS copy
  FROM (
    SELECT actor, event_id, PROCTIME() AS arrival,
      CAST(ROW({fields}) AS ROW<{types}>) AS event
    FROM interactions
    WHERE reason IS NULL AND append_time - event_time <= {horizon_ms}
  )
) WHERE copy = 1"""
FIELDS = {
    "append_time": "BIGINT",
    "item_id": "STRING",
    "type": "STRING",
    "event_time": "BIGINT",
    "quantity": "BIGINT",
    "price_minor": "BIGINT",
    "amount_minor": "BIGINT",
    "weight": "BIGINT",
    "query_text": "STRING",
}


def applied(horizon_ms: int) -> str:
    """The view of the events that count, each once."""
    types = ", ".join(f"`{name}` {kind}" for name, kind in FIELDS.items())
    return APPLIED.format(horizon_ms=horizon_ms, fields=", ".join(FIELDS), types=types)


def tiles(declaration: Declaration, entity: Entity, since: int) -> str:
    """A query of the entity's tiles, each row the absolute value of one tile that changed.

    Columns: entity id, level in ms, tile_start in ms, events applied, body (as `encode_body`).
    """
    values = ", ".join(
        f"KEY '{feature.name}' VALUE NULLIF({feature.sql}, 0)" for feature in declaration.of(entity)
    )
    # An actor is never empty, and a filter on it would move below the shared deduplication.
    named = "WHERE item_id <> ''" if entity is Entity.ITEM else ""
    return f"""
SELECT {entity.id_column} AS entity_id, ms, tile_start,
  COUNT(*) AS applied, JSON_OBJECT({values} ABSENT ON NULL) AS body
FROM {levels(declaration.levels(entity), since)}
{named}
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
