"""The steps of the job that are JVM operators and not SQL (`streaming/jvm`), as Python functions.

To the planner each result is a source: it is computed once, however many statements read it.
"""

from __future__ import annotations

from typing import Any

from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment, Table

from feature_store.events import ANONYMOUS, MAX_FUTURE_MS, WEIGHTS


def once(t_env: StreamTableEnvironment, table: Table) -> Table:
    """The same rows."""
    return Table(_streams().once(t_env._j_tenv, table._j_table), t_env)


def read_interactions(t_env: StreamTableEnvironment, arrived: Table) -> tuple[Table, Table]:
    """Messages -> interactions, and the messages that the contract itself has to judge."""
    weights = get_gateway().jvm.java.util.HashMap()
    for kind, weight in WEIGHTS.items():
        weights.put(kind, weight)
    sure, doubtful = _streams().readInteractions(
        t_env._j_tenv, arrived._j_table, weights, ANONYMOUS, MAX_FUTURE_MS
    )
    return Table(sure, t_env), Table(doubtful, t_env)


def first_copies(
    t_env: StreamTableEnvironment, accepted: Table, horizon_ms: int, remembered_ms: int
) -> Table:
    """Interactions -> the first copy of each that came within H, as long as it is remembered."""
    applied = _streams().firstCopies(t_env._j_tenv, accepted._j_table, horizon_ms, remembered_ms)
    return Table(applied, t_env)


def letters(t_env: StreamTableEnvironment, decoded: Table, topic: str) -> Table:
    """Decoded messages -> those with a reason not to be applied."""
    return Table(_streams().letters(t_env._j_tenv, decoded._j_table, topic), t_env)


def _streams() -> Any:
    return get_gateway().jvm.millrace.Streams
