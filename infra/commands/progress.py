"""Shows how far each part of a long command is: live on a terminal, a line each elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from infra.stack.stack import Progress


@contextmanager
def board(console: Console, names: Iterable[str]) -> Iterator[Progress]:
    """A line for each name; the value given is called with (name, what it does now)."""
    if not console.is_terminal:
        yield lambda name, what: console.print(f"  {name:<18} {what}", highlight=False)
        return
    columns = (SpinnerColumn(), TextColumn("{task.fields[service]:<18}"))
    with Bars(
        *columns, TextColumn("{task.description}"), TimeElapsedColumn(), console=console
    ) as bars:
        tasks: dict[str, TaskID] = {
            name: bars.add_task("waiting", total=1, service=name) for name in names
        }

        def show(name: str, what: str) -> None:
            over = what.startswith(("ready", "stopped", "was not"))
            bars.update(tasks[name], description=what, completed=int(over))

        yield show
