"""Verbs that make models and serve them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from infra.stack.stack import Stack


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
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted
