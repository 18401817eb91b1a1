"""The verb that puts stores right where the batch layer owns them: `batch.reconcile`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from batch.lake import Lake
from batch.manifest import LakeError
from batch.reconcile import Reconciled, reconcile
from feature_store.declaration import load
from feature_store.settings import Settings
from infra.stack.errors import StackError


def run(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, no table.")] = False,
) -> None:
    """Put right every tile older than H that differs from the newest recount, in both stores.

    The night does it after its recount; this does it again. Younger tiles belong to the stream and
    are only counted. Exit code 1 when a store did not answer.
    """
    settings = Settings()
    lake = Lake(settings.lake)
    try:
        with lake.locked():
            done = reconcile(settings, lake, load(settings.features).fingerprint)
    except (LookupError, LakeError) as missing:
        raise StackError(str(missing)) from missing
    if as_json:
        typer.echo(orjson.dumps({one.store: asdict(one) for one in done}))
    else:
        _tables(Console(), done)
    if any(one.unavailable for one in done):
        raise typer.Exit(1)


def _tables(console: Console, done: list[Reconciled]) -> None:
    table = Table(
        "store", "owned", "missing", "different", "extra", "put right", "bases", "young", "ahead",
        box=None, pad_edge=False,
    )  # fmt: skip
    for one in done:
        figures = (
            one.owned, one.missing, one.different, one.extra,
            one.repaired, one.bases, one.young, one.ahead,
        )  # fmt: skip
        table.add_row(one.store, *(f"{figure:,}" for figure in figures))
    console.print(table)
    for one in done:
        if one.unavailable:
            console.print(f"[red]{one.store} was left as it is: {one.unavailable}[/]")
        for name, drift in sorted(one.drift.items(), key=lambda it: -it[1].tiles):
            console.print(f"  {one.store}: {name} in {drift.tiles:,} tiles, by {drift.by:,}")
