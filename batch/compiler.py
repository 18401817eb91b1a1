"""The declaration as Spark SQL: the exact recount of every tile from the landed log.

The same rules as `feature_store.reference`: late events are left out, of copies the first in the
log counts, and an event counts at a level only while the level's ring still holds its tile.
"""

from __future__ import annotations

from feature_store.declaration import Declaration, Entity


def applied(log: str, horizon_ms: int) -> str:
    """The interactions that count, once each, from a landed log (a table or view)."""
    return f"""
        SELECT * FROM (
            SELECT *, ROW_NUMBER() OVER (
                PARTITION BY actor, event_id ORDER BY append_time, `partition`, `offset`
            ) AS copy
            FROM {log}
            WHERE reason IS NULL AND append_time - event_time <= {horizon_ms}
        ) WHERE copy = 1"""


def tiles(declaration: Declaration, events: str) -> str:
    """Every tile of every entity, from the interactions that count (a table or view)."""
    parts = [entity_tiles(declaration, entity, events) for entity in _declared(declaration)]
    return "\nUNION ALL\n".join(parts)


def entity_tiles(declaration: Declaration, entity: Entity, events: str) -> str:
    """The tiles of one entity, at all its levels in one pass.

    Columns: entity, entity_id, level (its code), start in ms, events applied, body.
    """
    levels = ", ".join(
        f"('{level.code}', {level.ms}L, {level.span_ms}L)" for level in declaration.levels(entity)
    )
    features = declaration.of(entity)
    sums = ",\n".join(f"{feature.sql} AS `{feature.name}`" for feature in features)
    pairs = ", ".join(
        f"CASE WHEN `{f.name}` <> 0 THEN CONCAT('\"{f.name}\":', CAST(`{f.name}` AS STRING)) END"
        for f in features
    )
    return f"""
        SELECT '{entity}' AS entity, entity_id, level, start, applied,
            CONCAT('{{', CONCAT_WS(',', {pairs}), '}}') AS body
        FROM (
            SELECT {entity.id_column} AS entity_id, l.code AS level,
                event_time - event_time % l.ms AS start, COUNT(*) AS applied,
                {sums}
            FROM {events} CROSS JOIN (VALUES {levels}) AS l(code, ms, span)
            WHERE {entity.id_column} <> '' AND append_time - event_time <= l.span
            GROUP BY {entity.id_column}, l.code, event_time - event_time % l.ms
        )"""


def _declared(declaration: Declaration) -> list[Entity]:
    return [entity for entity in Entity if declaration.of(entity)]
