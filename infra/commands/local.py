"""Verbs that start, stop and show the services of this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.commands.progress import board
from infra.stack.ports import LOOPBACK
from infra.stack.stack import Stack

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SERVICE]...", help="Only these; all when left out."),
]


def up(names: Names = None) -> None:
    """Start what does not run yet and wait until all of it answers.

    Doing it twice changes nothing. When a service cannot start, whatever this command
    started is stopped again.
    """
    console, stack = Console(), Stack.from_environment()
    chosen = [service.name for service in stack.services(names or ())]
    with board(console, chosen) as progress:
        stack.up(chosen, progress)
    show_status(console, stack)


def down(names: Names = None) -> None:
    """Stop the services; their data stays for the next `up`."""
    console, stack = Console(), Stack.from_environment()
    chosen = [service.name for service in stack.services(names or ())]
    with board(console, chosen) as progress:
        stack.down(chosen, progress)


def status() -> None:
    """Show each service: state, port, resident memory, link.

    The exit code is 1 when a service that should run does not answer.
    """
    if not show_status(Console(), Stack.from_environment()):
        raise typer.Exit(1)


def logs(
    service: Annotated[str, typer.Argument(help="Its name, as `millrace status` shows it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines arrive.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 100,
) -> None:
    """Print a service's log."""
    log = Stack.from_environment().service(service).log
    if not log.exists():
        typer.echo(f"{service} has not been started yet: type `millrace up`.", err=True)
        raise typer.Exit(1)
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), str(log)])  # noqa: S606 - no shell is wanted


def supervise() -> None:
    """Restart what dies, services and Flink jobs alike (`up` starts this by itself)."""
    from infra.stack.watch import watch

    watch(Stack.from_environment())


def show_status(console: Console, stack: Stack) -> bool:
    """Print the table; returns whether all services that should run are ready."""
    from infra.stack.lifecycle import State

    colours = {
        State.READY: "green",
        State.STOPPED: "dim",
        State.BUSY: "yellow",
        State.DEAD: "red",
    }
    columns = ("service", "state", "port", "RSS MiB", "link", "metrics")
    table = Table(*columns, box=None, pad_edge=False)
    for column in (2, 3):
        table.columns[column].justify = "right"
    reports = stack.status()
    for report in reports:
        colour = colours[report.state]
        port = str(report.port or "")
        state = f"[{colour}]{report.state}[/]"
        # The port says enough: every address of the stack is on this machine.
        metrics = report.metrics.removeprefix(f"http://{LOOPBACK}").removesuffix("/metrics")
        shown = (str(report.resident_mib), report.link, metrics)
        table.add_row(report.name, state, port, *shown)
    table.add_row("", "", "", str(sum(report.resident_mib for report in reports)), "all together")
    console.print(table)
    return all(report.state in (State.READY, State.STOPPED) for report in reports)
