"""Verbs about the master dataset: what is landed, whether it is whole, and its repair."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from infra.stack.errors import StackError
from infra.stack.stack import Stack

lake = typer.Typer(help="Show what is landed of every topic, by day; verify, repair, compact.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]


@lake.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    topic: Annotated[str | None, typer.Option(help="Also list the days of this topic.")] = None,
    verify: Annotated[bool, typer.Option(help="Read every byte and compare its hash.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is landed: days, rows, refused ones, bytes, offsets, and what Kafka lost.

    Exit code 1 when a file is not as it was written.
    """
    if context.invoked_subcommand:
        return
    from batch.inventory import inventory
    from batch.lake import Lake
    from batch.manifest import LakeError

    settings = Stack.from_environment().settings()
    try:
        found = inventory(settings, Lake(settings.lake), verify)
    except LakeError as error:
        raise StackError(str(error)) from error
    if as_json:
        typer.echo(orjson.dumps(found))
    else:
        _tables(Console(), found, topic)
    if any(one["damaged"] for one in found["topics"].values()):
        raise typer.Exit(1)


@lake.command()
def repair() -> None:
    """Land the days with a damaged file again from Kafka: spark-submit batch/reland.py."""
    from infra.stack.spark import RELAND, spark_submit

    spark_submit(Stack.from_environment(), RELAND)


@lake.command()
def compact(
    files: Annotated[int, typer.Option(min=1, help="Small files that a day may keep.")] = 1,
) -> None:
    """Make one file of the many small ones of a day; the night does it from nine files on."""
    from batch.compact import compact as merge
    from batch.lake import Lake
    from batch.manifest import LakeError
    from feature_store.topics import TOPICS

    settings = Stack.from_environment().settings()
    store = Lake(settings.lake)
    try:
        with store.locked():
            for topic in TOPICS:
                gone = merge(store, settings.topic(topic.name), files)
                typer.echo(f"{settings.topic(topic.name)}: {gone:,} files fewer")
    except LakeError as error:
        raise StackError(str(error)) from error


@lake.command()
def accept(
    day: Annotated[str, typer.Argument(metavar="YYYY-MM-DD", help="The day (UTC) that is right.")],
    because: Annotated[str, typer.Option(help="Why: a holiday, a strike, a sale.")],
) -> None:
    """Let a day pass that the data gate refuses, because it is right as it is."""
    from datetime import date

    from batch.lake import Lake
    from batch.validate import accept as let_pass

    try:
        date.fromisoformat(day)
    except ValueError as error:
        raise StackError(f"{day} is no date: write it as 2026-03-10.") from error
    let_pass(Lake(Stack.from_environment().settings().lake), day, because)
    typer.echo(f"{day} passes from now on: {because}")


def _tables(console: Console, found: dict[str, Any], chosen: str | None) -> None:
    console.print(f"lake {Path(found['lake'])}", highlight=False, soft_wrap=True)
    table = Table(
        "topic", "days", "rows", "refused", "files", "MiB", "lost", "landed to",
        box=None, pad_edge=False,
    )  # fmt: skip
    for name, one in found["topics"].items():
        days = sorted(one["days"])
        span = f"{len(days)}: {days[0]} … {days[-1]}" if days else "none"
        lost = sum(gap["until"] - gap["start"] for gap in one["gaps"])
        offsets = " ".join(f"{p}:{offset}" for p, offset in one["offsets"].items())
        figures = (one["rows"], one["invalid"], one["files"])
        table.add_row(
            name, span, *(f"{figure:,}" for figure in figures),
            f"{one['bytes'] / 2**20:.1f}", f"{lost:,}", offsets,
        )  # fmt: skip
    console.print(table)
    for name, one in found["topics"].items():
        for gap in one["gaps"]:
            lost = f"offsets {gap['start']} to {gap['until'] - 1} of partition {gap['partition']}"
            told = f"[yellow]{name}: Kafka deleted {lost} before they were landed[/]"
            console.print(told, soft_wrap=True)
        for path in one["damaged"]:
            console.print(f"[red]{path} is damaged: `millrace lake repair`[/]", soft_wrap=True)
    if chosen:
        _days(console, found["topics"], chosen)


def _days(console: Console, topics: dict[str, Any], chosen: str) -> None:
    if chosen not in topics:
        raise StackError(f"No topic is called {chosen}: there are {', '.join(topics)}.")
    table = Table("day", "rows", "refused", "files", "KiB", "landings", box=None, pad_edge=False)
    for day, one in sorted(topics[chosen]["days"].items()):
        figures = (one["rows"], one["invalid"], one["files"], one["bytes"] // 1024)
        table.add_row(day, *(f"{figure:,}" for figure in figures), str(one["batches"]))
    console.print(table)
