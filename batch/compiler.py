"""The declaration as Spark SQL: the exact recount of every tile from the landed log.

The same rules as `feature_store.reference`: of copies the first in the log counts, and an event
counts at a level only while the level's ring still holds its tile. An event that was late for the
stream counts where the batch layer owns the tile, and in bases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from feature_store.declaration import Declaration, Entity, Feature
from feature_store.tiles import BASE, DAY

#: A horizon for whoever reads late events too.
EVER: Final = 2**62
#: `Interaction.actor_hash`, which the landed log does not hold.
ACTOR_HASH: Final = "CAST(CONV(SUBSTR(MD5(actor), 1, 16), 16, 10) AS DECIMAL(20, 0)) DIV 2"


def applied(log: str, horizon_ms: int) -> str:
    """The interactions that count, once each, from a landed log (a table or view)."""
    return f"""
        SELECT *, {ACTOR_HASH} AS actor_hash FROM (
            SELECT *, ROW_NUMBER() OVER (
                PARTITION BY actor, event_id ORDER BY append_time, `partition`, `offset`
            ) AS copy
            FROM {log}
            WHERE reason IS NULL AND append_time - event_time <= {horizon_ms}
        ) WHERE copy = 1"""


def counted(log: str, erased: str, horizon_ms: int) -> str:
    """Each interaction of a landed log once, however late; `log` and `erased` are tables or views.

    `late`: no copy of it came within the horizon, so the stream has not applied it. `forgotten`:
    its actor was erased after it came (`erased` has user_id, append_time of tombstones).
    """
    return f"""
        SELECT e.*, {ACTOR_HASH} AS actor_hash,
            COALESCE(e.append_time <= gone.at, FALSE) AS forgotten
        FROM (
            SELECT *, append_time - event_time > {horizon_ms} AS late, ROW_NUMBER() OVER (
                PARTITION BY actor, event_id
                ORDER BY append_time - event_time > {horizon_ms}, append_time, `partition`, `offset`
            ) AS copy
            FROM {log} WHERE reason IS NULL
        ) AS e
        LEFT JOIN (SELECT user_id, MAX(append_time) AS at FROM {erased} GROUP BY user_id) AS gone
        ON e.actor = gone.user_id
        WHERE copy = 1"""


def tiles(declaration: Declaration, events: str) -> str:
    """Every tile of every entity, from the interactions that count (a table or view)."""
    parts = [entity_tiles(declaration, entity, events) for entity in _declared(declaration)]
    return "\nUNION ALL\n".join(parts)


def owned_tiles(declaration: Declaration, events: str, owned_until: int) -> str:
    """Every tile from `counted` interactions: late ones count in tiles that end by `owned_until`.

    What a user did before an erasure is in no tile of the user.
    """
    rule = f"(NOT late OR event_time - event_time % ms + ms <= {owned_until})"
    kept = {Entity.USER: f"{rule} AND NOT forgotten", Entity.ITEM: rule}
    entities = _declared(declaration)
    return "\nUNION ALL\n".join(entity_tiles(declaration, e, events, kept[e]) for e in entities)


def entity_tiles(declaration: Declaration, entity: Entity, events: str, kept: str = "TRUE") -> str:
    """The tiles of one entity, at all its levels in one pass.

    Columns: entity, entity_id, level (its code), start in ms, events applied, body. `kept` is a
    condition on an event at a level, whose width is the column `ms`.
    """
    levels = ", ".join(
        f"('{level.code}', {level.ms}L, {level.span_ms}L)" for level in declaration.levels(entity)
    )
    return f"""
        SELECT '{entity}' AS entity, entity_id, level, start, COUNT(*) AS applied,
            {_body(declaration.of(entity))} AS body
        FROM (
            SELECT *, {entity.id_column} AS entity_id, event_time - event_time % ms AS start
            FROM {events} CROSS JOIN (VALUES {levels}) AS l(level, ms, span)
            WHERE {entity.id_column} <> '' AND append_time - event_time <= span AND {kept}
        )
        GROUP BY entity_id, level, start"""


def bases(declaration: Declaration, entity: Entity, events: str, until: int) -> str:
    """The entity's bases, in the columns of `entity_tiles`: the lifelong totals before a day."""
    return f"""
        SELECT '{entity}' AS entity, {entity.id_column} AS entity_id, '{BASE.code}' AS level,
            {until}L AS start, COUNT(*) AS applied,
            {_body(declaration.lifelong(entity))} AS body
        FROM (SELECT *, {DAY.ms}L AS ms FROM {events})
        WHERE event_time < {until} AND {entity.id_column} <> ''
        GROUP BY {entity.id_column}"""


def _body(features: Sequence[Feature]) -> str:
    """A tile's totals as `encode_body` spells them; a NULL is left out."""
    pairs = ", ".join(f"'{feature.name}', {feature.sql('spark')}" for feature in features)
    return f"TO_JSON(NAMED_STRUCT({pairs}))"


def _declared(declaration: Declaration) -> list[Entity]:
    return [entity for entity in Entity if declaration.of(entity)]
