"""`millrace compare`: every tile in the stores beside the batch recount, at one cut."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from batch.differences import Comparison
from batch.reconcile import compare_store
from feature_store.settings import Settings
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from infra.stack.errors import StackError


def compare_stores(settings: Settings) -> list[Comparison]:
    """Redis keeps the newest tile of each slot, Cassandra every tile; both must equal."""
    hot, kept = RedisStore.connect(settings), CassandraStore.connect(settings)
    try:
        return [compare_store(settings, hot), compare_store(settings, kept)]
    except LookupError as missing:
        raise StackError(str(missing)) from missing
    finally:
        hot.close()
        kept.close()


def show(console: Console, comparisons: list[Comparison]) -> bool:
    """Prints the comparisons; returns whether all are equal."""
    table = Table("store", "tiles", "missing", "different", "extra", "", box=None, pad_edge=False)
    for one in comparisons:
        verdict = "[green]equal[/]" if one.equal else "[red]NOT EQUAL[/]"
        figures = (one.tiles, one.missing, one.different, one.extra)
        table.add_row(one.store, *(f"{figure:,}" for figure in figures), verdict)
    console.print(table)
    for one in comparisons:
        for example in one.examples:
            console.print(f"  {one.store}: {example}", highlight=False, soft_wrap=True)
    return all(one.equal for one in comparisons)


def run() -> None:
    """Compare every streamed tile with the newest recount; exit code 1 when any differs.

    Run `millrace nightly` first, with the stream drained: events after the recount's cut count
    as differences.
    """
    if not show(Console(), compare_stores(Settings())):
        raise typer.Exit(1)
