"""Verbs for the engineer who must repair and resend what the stream refused."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.stack.errors import StackError
from infra.stack.stack import Stack

dlt = typer.Typer(
    help="List, show and resend the messages that were refused.", no_args_is_help=True
)
Positions = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TOPIC:PARTITION:OFFSET]...", help="Where the messages are."),
]


@dlt.command(name="list")
def list_letters() -> None:
    """Count the letters by topic and reason, with the first and the last time of each."""
    from infra.dead_letters import letters

    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    for letter in letters(Stack.from_environment().settings()):
        times[letter.topic, letter.reason].append(letter.append_time)
    table = Table("topic", "reason", "letters", "first", "last", box=None, pad_edge=False)
    for (topic, reason), when in sorted(times.items()):
        count = f"{len(when):,}"
        table.add_row(topic, escape(reason), count, _moment(min(when)), _moment(max(when)))
    Console().print(table if times else "No message was refused.")


@dlt.command()
def show(
    position: Annotated[str, typer.Argument(metavar="TOPIC:PARTITION:OFFSET")],
) -> None:
    """Print why a message was refused, and its body as it came."""
    from infra.dead_letters import chosen, letters, originals

    settings = Stack.from_environment().settings()
    for letter, message in originals(settings, chosen(letters(settings), [position], None)):
        typer.echo(f"reason: {letter.reason}\narrived: {_moment(letter.append_time)}", err=True)
        typer.echo(f"key: {message.key.decode(errors='backslashreplace')}", err=True)
        body = message.value
        typer.echo("null" if body is None else body.decode(errors="backslashreplace"))


@dlt.command()
def replay(
    positions: Positions = None,
    reason: Annotated[str | None, typer.Option(help="All letters of this reason.")] = None,
    from_file: Annotated[
        Path | None, typer.Option(help="The repaired body of the one message named.", exists=True)
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would be sent; send nothing.")] = False,
) -> None:
    """Send refused messages again, to their topic and with their key.

    What the contract still refuses stays where it is: repair it with --from-file (`show` prints
    the body). An interaction sent twice counts once, by its event id; a description or profile
    sent again becomes the newest of its item or user.
    """
    from infra.dead_letters import chosen, keyed, letters, originals, refusal
    from infra.traffic.producer import Sender

    settings = Stack.from_environment().settings()
    picked = chosen(letters(settings), positions or (), reason)
    if from_file and len(picked) > 1:
        raise StackError(f"--from-file repairs one message, and {len(picked)} are chosen.")
    now, sendable = time.time_ns() // 1_000_000, []
    for letter, original in originals(settings, picked):
        message = original._replace(value=from_file.read_bytes()) if from_file else original
        still = refusal(settings, message, now)
        if still:
            typer.echo(f"{letter.position} stays: {still}")
            continue
        typer.echo(f"{letter.position} {'would be sent' if dry_run else 'is sent again'}")
        sendable.append(keyed(message, now))
    if not dry_run:
        with Sender(settings) as sender:
            sender.send_all(sendable)
    if len(sendable) < len(picked):
        raise typer.Exit(1)


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"
