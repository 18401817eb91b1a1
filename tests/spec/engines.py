"""The engines a declaration runs on, behind one question: which tiles do these messages make?

Starting an engine costs seconds, so a suite asks for all its examples at once; the ids of each
example are prefixed with its name and cannot meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any, Protocol

import orjson

from feature_store.declaration import Declaration, Entity
from feature_store.events import Interaction, InvalidEvent, decode_interaction
from feature_store.reference import Fold, Message, fold
from feature_store.tiles import HOUR_MS, LEVEL_OF_MS, Total
from feature_store.trending import Engagement
from tests.flink import arrived, local_flink

#: (entity, id, level code, start) -> (events applied, body)
Tiles = dict[tuple[str, str, str, int], tuple[int, str]]
FIELDS = [field.name for field in fields(Interaction)]


class Engine(Protocol):
    """Something that folds messages into tiles."""

    def tiles(
        self, declaration: Declaration, horizon_ms: int, messages: Sequence[Message]
    ) -> Tiles:
        """The tiles that the messages, in this order, leave behind."""


class Reference:
    """Plain Python."""

    def tiles(
        self, declaration: Declaration, horizon_ms: int, messages: Sequence[Message]
    ) -> Tiles:
        folded = fold(declaration, messages, horizon_ms).tiles()
        return {
            (str(t.entity), t.entity_id, t.level.code, t.start): (t.version.applied, t.body)
            for t in folded
        }


class Flink:
    """The streaming job's own steps and SQL, in a cluster inside this process."""

    def tiles(
        self,
        declaration: Declaration,
        horizon_ms: int,
        messages: Sequence[Message],
        since: int = 0,
    ) -> Tiles:
        from streaming import compiler

        t_env = flink(horizon_ms, messages)
        compiler.register_functions(t_env)
        found: Tiles = {}
        for entity in Entity:
            query = compiler.tiles(declaration, entity, since)
            with t_env.execute_sql(query).collect() as changes:
                for key, ms, start, applied, body in changes:
                    address = (str(entity), key, LEVEL_OF_MS[ms].code, start)
                    found[address] = max(found.get(address, (0, "")), (applied, body))
        return found


class Spark:
    """The recount's own SQL, in a local session."""

    def tiles(
        self, declaration: Declaration, horizon_ms: int, messages: Sequence[Message]
    ) -> Tiles:
        import pyarrow as pa

        from batch import compiler
        from batch.decoding import SCHEMAS
        from batch.session import session

        spark = session("spec")
        schema = SCHEMAS["user-interactions"]
        table = pa.Table.from_pylist(list(decoded(messages)), schema=schema)
        spark.createDataFrame(table).createOrReplaceTempView("landed")
        spark.sql(compiler.applied("landed", horizon_ms)).createOrReplaceTempView("applied")
        return {
            (row.entity, row.entity_id, row.level, row.start): (row.applied, row.body)
            for row in spark.sql(compiler.tiles(declaration, "applied")).collect()
        }


ENGINES: Mapping[str, type[Engine]] = {"reference": Reference, "flink": Flink, "spark": Spark}


def flink(horizon_ms: int, messages: Sequence[Message], **options: str) -> Any:
    """A table environment in which the view `applied` holds the first copies of the messages."""
    from streaming import sources, steps

    t_env = local_flink(**options)
    accepted = sources.interactions(t_env, arrived(t_env, messages))
    applied = steps.first_copies(t_env, accepted, horizon_ms, remembered_ms=HOUR_MS)
    t_env.create_temporary_view("applied", applied)
    return t_env


def engagement(state: Fold, messages: Sequence[Message]) -> list[Engagement]:
    """What of the messages makes trends, by the reference: what a new state applies."""
    return [
        Engagement(e.actor, e.item_id, e.country, e.weight, e.event_time, message.append_time)
        for message in messages
        if (e := state.add(message))
    ]


def decoded(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages as every engine's source gives them: fields, or a reason."""
    rows = []
    for message in messages:
        event = decode_interaction(message.value, message.append_time)
        place = {
            "partition": message.partition,
            "offset": message.offset,
            "append_time": message.append_time,
            "raw": None,
        }
        if isinstance(event, InvalidEvent):
            nothing = dict.fromkeys([*FIELDS, "query_text", "actor_hash"])
            rows.append({**nothing, **place, "reason": event.reason})
        else:
            said = dict(zip(FIELDS, astuple(event), strict=True))
            more = {"query_text": event.query, "actor_hash": event.actor_hash}
            rows.append({**said, **place, "reason": None, **more})
    return rows


def body(**values: Total) -> str:
    """A tile's body as it is stored."""
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
