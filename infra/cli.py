"""The command line of Millrace: `millrace --help` lists what it can do."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from infra.commands import around, local, work
from infra.commands.dlt import dlt
from infra.commands.features import features
from infra.commands.forward import forward
from infra.commands.keys import keys
from infra.commands.lake import lake
from infra.commands.models import models
from infra.commands.stream import stream
from infra.stack.errors import StackError
from infra.stack.interrupts import treat_termination_as_interrupt

app = typer.Typer(
    name="millrace",
    help="Millrace, real-time recommendations: say a feature once; Flink keeps it fresh, "
    "Spark keeps it right, the API serves it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
)

START = "Start here"
STACK = "The stack on this machine"
WORK = "Data and models"

forward(
    app,
    "demo",
    "infra.demo:run",
    "Watch real purchases flow through everything until a click changes an answer.",
    START,
)
app.command(rich_help_panel=START)(around.doctor)

app.command(rich_help_panel=STACK)(local.up)
app.command(rich_help_panel=STACK)(local.down)
app.command(rich_help_panel=STACK)(local.status)
app.command(rich_help_panel=STACK)(local.logs)
app.command(rich_help_panel=STACK)(around.env)
app.command(rich_help_panel=STACK)(local.supervise)

forward(
    app,
    "replay",
    "infra.commands.traffic:replay_command",
    "Replay real purchases, products and households into the topics.",
    WORK,
)
forward(
    app,
    "simulate",
    "infra.commands.traffic:simulate_command",
    "Simulate people who search, view, click and buy.",
    WORK,
)
app.add_typer(stream, name="stream", rich_help_panel=WORK)
app.add_typer(dlt, name="dlt", rich_help_panel=WORK)
app.add_typer(features, name="features", rich_help_panel=WORK)
app.add_typer(lake, name="lake", rich_help_panel=WORK)
app.command(rich_help_panel=WORK, context_settings={"ignore_unknown_options": True})(work.nightly)
app.add_typer(models, name="models", rich_help_panel=WORK)
app.command(rich_help_panel=WORK)(work.serve)
app.add_typer(keys, name="keys", rich_help_panel=WORK)
forward(
    app,
    "rebuild",
    "infra.commands.rebuild:run",
    "Refill Redis from Cassandra, or from the master dataset.",
    WORK,
)
forward(
    app,
    "backfill",
    "infra.backfill:run",
    "Give a new feature its history, through the recount.",
    WORK,
)
forward(
    app,
    "compare",
    "infra.compare:run",
    "Compare every streamed tile with the batch recount, at one cut.",
    WORK,
)
forward(
    app,
    "reconcile",
    "infra.commands.reconcile:run",
    "Put right the stores' tiles that are older than H, by the newest recount.",
    WORK,
)


def main() -> None:
    """Run the command line; an expected failure is one sentence and exit code 1."""
    treat_termination_as_interrupt()
    try:
        app()
    except StackError as failure:
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]millrace:[/] {failure}", highlight=False
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
