"""The verb that refills Redis; `infra.rebuild` does the work."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from feature_store.stores.base import StoreUnavailable
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from infra.drain import drain, end_offsets
from infra.rebuild import Parts, from_lake, from_store, is_empty, rebuild
from infra.stack.errors import StackError
from infra.stack.jobs import require_live
from infra.stack.spark import NIGHTLY, spark_submit
from infra.stack.stack import Stack


class Source(StrEnum):
    """What Redis is refilled from."""

    KEPT = "kept"
    LAKE = "lake"


def run(
    source: Annotated[
        Source | None,
        typer.Option("--from", help="Cassandra, or the master dataset; else what is not empty."),
    ] = None,
) -> None:
    """Refill Redis while the stream and the API go on.

    From Cassandra (`kept`) comes everything. From the `lake` the log is landed and recounted
    first (minutes), then comes all but lists: the stream publishes what trends within a minute or
    two, the next nightly what sells. Nothing newer is overwritten, and doing it twice changes
    nothing. Until a user is refilled, answers about the user come from Cassandra, unless
    the user is new since last night and does something meanwhile.
    """
    stack = Stack.from_environment()
    console, settings = Console(), stack.settings()
    try:
        hot, kept = RedisStore.connect(settings, timeout_s=30), CassandraStore.connect(settings)
        chosen = source or (Source.LAKE if is_empty(kept) else Source.KEPT)
        console.print(f"refilling Redis from {chosen}")
        if chosen is Source.LAKE:
            spark_submit(stack, NIGHTLY, ["--recount-only"])
            parts = from_lake(settings, _now())
        else:
            _catch_up(console, stack)
            parts = from_store(kept, _now())
        _rebuild(console, hot, parts)
    except StoreUnavailable as gone:
        raise StackError(
            f"{gone}. Start it with `millrace up`, then type `millrace rebuild` again: "
            "what is written already stays."
        ) from gone
    console.print("Redis is refilled.")
    if chosen is Source.LAKE:
        console.print(
            "The hot job publishes what trends within two minutes; the next nightly what sells."
        )


def _catch_up(console: Console, stack: Stack) -> None:
    """Cassandra is up to half a minute behind: what Redis lost last may not be there yet."""
    try:
        require_live(stack, "kept")
    except StackError as nobody:
        console.print(f"refilling with what Cassandra has: {nobody}")
        return
    with console.status("waiting until Cassandra has all that was said"):
        drain(stack, stack.settings(), "kept", end_offsets(stack.settings()))


def _rebuild(console: Console, into: RedisStore, parts: Parts) -> None:
    columns = (TextColumn("{task.description:15}{task.completed:>12,}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        lines = {}

        def tell(part: str, written: int) -> None:
            if part not in lines:
                lines[part] = progress.add_task(part, total=None)
            progress.update(lines[part], completed=written)

        rebuild(into, parts, tell)


def _now() -> int:
    return time.time_ns() // 1_000_000
