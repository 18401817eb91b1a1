"""Verbs for the Flink jobs of the speed layer."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

from infra.stack.errors import StackError
from infra.stack.stack import Stack

stream = typer.Typer(help="Submit, watch, save and cancel the Flink jobs.", no_args_is_help=True)
JobName = Annotated[str, typer.Argument(metavar="JOB", help="The job's name: hot or kept.")]


class Deployment(StrEnum):
    """The two deployments of the one job code."""

    HOT = "hot"
    KEPT = "kept"
    BOTH = "both"

    @property
    def names(self) -> list[str]:
        """The deployments that are meant."""
        return ["hot", "kept"] if self is Deployment.BOTH else [self.value]


class StateBackend(StrEnum):
    """Where a job keeps its state."""

    ROCKSDB = "rocksdb"
    HASHMAP = "hashmap"


Which = Annotated[Deployment, typer.Argument(help="Which one.")]


@stream.command()
def submit(
    deployment: Which = Deployment.BOTH,
    start_from: Annotated[
        Path | None,
        typer.Option("--from", help="A savepoint or retained checkpoint to start from."),
    ] = None,
    parallelism: Annotated[int, typer.Option(min=1, help="Flink slots, and Python workers.")] = 1,
    state: Annotated[
        StateBackend, typer.Option(help="State on disk, or in the heap (fast, and must fit).")
    ] = StateBackend.ROCKSDB,
) -> None:
    """Submit the streaming job into Redis (hot), into Cassandra (kept), or both.

    A job that already runs is left alone. From then on the supervisor keeps it running. To
    rescale a job: save it, cancel it, submit it --from there with another --parallelism.
    """
    from infra.stack.streaming import deploy

    chosen = deployment.names
    if start_from is not None and len(chosen) > 1:
        raise StackError("--from belongs to one job: say `submit hot` or `submit kept`.")
    console, stack = Console(), Stack.from_environment()
    for name in chosen:
        with console.status(f"submitting {name} (about 10 s)"):
            identity = deploy(stack, name, start_from, parallelism, state.value)
        console.print(f"{name} runs: {stack.environment()['MILLRACE_FLINK']}/#/job/{identity}")


@stream.command()
def upgrade(deployment: Which = Deployment.BOTH) -> None:
    """Replace a running job by one of the declaration as it is now, by replay.

    The new job folds the log beside the old one, takes its place when it has caught up, and the
    old one is cancelled. Answers never stop. Ctrl-C leaves the old job running and what the new one
    has written: a feature that it lacks is missing from those tiles until their next event, or
    until the night owns them.
    """
    from infra.upgrade import upgrade as upgrade_job

    console, stack = Console(), Stack.from_environment()
    for name in deployment.names:
        with console.status(f"submitting the next {name} (about 10 s)") as shown:

            def tell(successor: str, ahead: int, shown: Status = shown) -> None:
                shown.update(f"{successor} is {ahead:,} messages behind")

            identity = upgrade_job(stack, name, tell)
        url = f"{stack.environment()['MILLRACE_FLINK']}/#/job/{identity}"
        console.print(f"{name} is upgraded, the old job cancelled: {url}")


@stream.command()
def status() -> None:
    """Show the jobs the cluster knows and those that should be running."""
    import time

    from infra.stack.jobs import jobs
    from infra.stack.wanted import wanted

    stack = Stack.from_environment()
    expected = {job.title: job.name for job in wanted(stack.home)}
    table = Table("job", "state", "for", "wanted as", "id", box=None, pad_edge=False)
    listed = jobs(stack)
    for job in listed:
        age = f"{time.time() - job.started:.0f} s"
        table.add_row(job.name, job.state, age, expected.get(job.name, ""), job.id)
    for title in expected.keys() - {job.name for job in listed}:
        table.add_row(title, "[red]missing[/]", "", expected[title], "")
    Console().print(table)


@stream.command()
def cancel(job: JobName) -> None:
    """Cancel a job; its last checkpoint stays on disk."""
    from infra.stack.jobs import cancel as cancel_job

    with Console().status(f"cancelling {job}"):
        cancel_job(Stack.from_environment(), job)
    typer.echo(f"{job} is cancelled.")


@stream.command()
def savepoint(job: JobName) -> None:
    """Write a savepoint of a running job and print where it is."""
    from infra.stack.jobs import savepoint as save_job

    with Console(stderr=True).status(f"saving {job}"):
        where = save_job(Stack.from_environment(), job)
    typer.echo(where)
