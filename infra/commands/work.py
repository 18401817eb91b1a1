"""Verbs that make models and serve them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from infra.stack.ports import require_free
from infra.stack.serving import Serving
from infra.stack.stack import Stack
from serving.units import Unit


def nightly(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OPTIONS]...", help="Passed to batch/nightly.py."),
    ] = None,
) -> None:
    """Land, check, recount, train and publish: spark-submit batch/nightly.py."""
    from infra.stack.spark import NIGHTLY, spark_submit

    spark_submit(Stack.from_environment(), NIGHTLY, arguments or ())


def serve(
    only: Annotated[
        Unit | None, typer.Option(help="Serve one unit alone; all of them when left out.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Another port than the stack's.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that share the port; about one a core.")
    ] = 1,
) -> None:
    """Run the API in the foreground, on the port the stack would use."""
    stack = Stack.from_environment()
    ports = {**stack.ports, "serving": port} if port else stack.ports
    service = Serving(stack.home, ports, stack.environment(), workers)
    require_free("serving", ports["serving"])
    service.prepare()
    environment = {**os.environ, **service.environment, **service.extra_environment()}
    if only:
        environment["MILLRACE_SERVING_ONLY"] = only
    command = service.command()
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted
