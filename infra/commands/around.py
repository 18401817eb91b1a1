"""Verbs that say what is there: prerequisites and addresses."""

from __future__ import annotations

import shlex

import typer
from rich.console import Console
from rich.table import Table

from infra.stack.stack import Stack


def env() -> None:
    """Print the addresses of this stack as `export` lines: eval "$(millrace env)"."""
    for name, value in Stack.from_environment().environment().items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def doctor() -> None:
    """Look for everything Millrace needs, and say what to type for what is missing."""
    from infra.stack.home import Home, jars_directory
    from infra.stack.jars import PROFILES, is_fetched
    from infra.stack.prerequisites import Finding, findings

    found = list(findings(Home.from_environment().root))
    missing = [profile for profile in PROFILES if not is_fetched(profile)]
    remedy = "type `make setup`" if missing else ""
    where = f"missing for {', '.join(missing)}" if missing else str(jars_directory())
    found.append(Finding("Jars", where, remedy))
    table = Table("what", "found", "what to do", box=None, pad_edge=False)
    for finding in found:
        mark = "red" if finding.remedy else "green"
        table.add_row(finding.name, f"[{mark}]{finding.found}[/]", finding.remedy)
    Console().print(table)
    if any(finding.remedy for finding in found):
        raise typer.Exit(1)
