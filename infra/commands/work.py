"""Verbs that move data and make models: demo, replay, simulate, nightly, serve, compare."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from infra.stack.stack import Stack


def demo(
    days: Annotated[
        int, typer.Option(help="How many days of real purchases to replay.")
    ] = 60,
    everything: Annotated[
        bool, typer.Option("--all", help="Replay the whole year.")
    ] = False,
    keep: Annotated[
        bool, typer.Option(help="Leave the stack running afterwards.")
    ] = False,
) -> None:
    """Watch real purchases flow through the whole platform until a click changes an answer.

    Starts the stack, replays, streams, trains, serves, clicks, and prints what it measured; the
    last line is one JSON object.
    """
    from infra.demo import run

    run(Stack.from_environment(), days=366 if everything else days, keep=keep)


def replay(
    days: Annotated[
        int, typer.Option(help="The last so many days of the year of data.")
    ] = 60,
    rate: Annotated[
        float | None,
        typer.Option(help="Events per second; as fast as possible when left out."),
    ] = None,
    compress: Annotated[
        float | None, typer.Option(help="So many times faster than it happened.")
    ] = None,
) -> None:
    """Replay real purchases, products and households (The Complete Journey) into the topics."""
    from infra.traffic.replay import run

    run(Stack.from_environment(), days=days, rate=rate, compress=compress)


def simulate(
    seconds: Annotated[float, typer.Option(help="For how long.")] = 60,
    rate: Annotated[float, typer.Option(help="Events per second.")] = 200,
    users: Annotated[int, typer.Option(help="How many users.")] = 1000,
    items: Annotated[int, typer.Option(help="How many items.")] = 5000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same events.")] = 1,
) -> None:
    """Send simulated sessions: views, clicks and carts before purchases."""
    from infra.traffic.simulate import run

    run(
        Stack.from_environment(),
        seconds=seconds,
        rate=rate,
        users=users,
        items=items,
        seed=seed,
    )


def nightly(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OPTIONS]...", help="Passed to batch/nightly.py."),
    ] = None,
) -> None:
    """Land, check, recount, train and publish: spark-submit batch/nightly.py."""
    from infra.stack.spark import NIGHTLY, spark_submit

    spark_submit(Stack.from_environment(), NIGHTLY, arguments or ())


def serve() -> None:
    """Run the API in the foreground, on the port the stack would use."""
    service = Stack.from_environment().service("serving")
    environment = {**os.environ, **service.environment, **service.extra_environment()}
    command = service.command()
    os.execve(command[0], command, environment)


def compare() -> None:
    """Compare every streamed tile in the stores with the batch recount, at one cut."""
    from infra.compare import run

    run(Stack.from_environment())
