"""Verbs for whoever hands out API keys."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.stack.errors import StackError
from infra.stack.stack import Stack
from serving.audit import Audit
from serving.keys import ApiKey, KeysUnreadable, Scope, create, read, revoke

keys = typer.Typer(help="Make, list and revoke the API's keys.", no_args_is_help=True)


@keys.command(name="create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who has it, for people to read.")],
    scope: Annotated[list[Scope], typer.Option(help="Once for each.")] = [  # noqa: B006 - typer's way
        Scope.READ,
        Scope.WRITE,
    ],
    user: Annotated[str | None, typer.Option(help="It sees and writes this user only.")] = None,
    days: Annotated[int | None, typer.Option(help="It expires after these.", min=1)] = None,
    per_s: Annotated[float | None, typer.Option(help="Requests a second.")] = None,
    burst: Annotated[int | None, typer.Option(help="Requests at once.")] = None,
) -> None:
    """Make a key and print it: it is kept as a hash and never shown again."""
    path = key_file()
    try:
        key, token = create(path, name, frozenset(scope), user, days, per_s, burst)
    except ValidationError as error:
        wrong = "; ".join(f"{said['loc'][0]}: {said['msg']}" for said in error.errors())
        raise StackError(f"No key was made: {wrong}.") from None
    except KeysUnreadable as damaged:
        raise StackError(str(damaged)) from None
    _note("keys create", key)
    typer.echo("Send it as `Authorization: Bearer <key>`. It is not shown again.", err=True)
    typer.echo(token)


@keys.command(name="list")
def list_keys() -> None:
    """Show what each key may do; the keys themselves are not kept."""
    now = time.time_ns() // 1_000_000
    table = Table("id", "name", "scopes", "user", "made", "expires", "open", box=None)
    for key in _read(key_file()):
        table.add_row(
            key.id,
            escape(key.name),
            " ".join(sorted(key.scopes)),
            escape(key.user or "all"),
            _day(key.created_at),
            _day(key.expires_at) if key.expires_at else "never",
            "no" if key.closed(now) else "yes",
        )
    Console().print(table if table.row_count else "There is no key: `millrace keys create NAME`.")


@keys.command(name="revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Close a key for good; every worker knows within about a second."""
    try:
        key = revoke(key_file(), key_id)
    except KeysUnreadable as damaged:
        raise StackError(str(damaged)) from None
    if key is None:
        raise StackError(f"There is no key {key_id}: see `millrace keys list`.")
    _note("keys revoke", key)
    typer.echo(f"{key.id} ({key.name}) opens nothing any more.", err=True)


def key_file() -> Path:
    """The file that this stack's API reads."""
    return Path(_serving("MILLRACE_SERVING_KEYS"))


def _read(path: Path) -> list[ApiKey]:
    try:
        return list(read(path))
    except KeysUnreadable as damaged:
        raise StackError(str(damaged)) from None


def _note(did: str, key: ApiKey) -> None:
    """The trail of the API has these deeds too."""
    who = f"cli:{getpass.getuser()}"
    Audit(Path(_serving("MILLRACE_SERVING_AUDIT"))).record(who, did, key=key.id)


def _serving(name: str) -> str:
    return Stack.from_environment().service("serving").extra_environment()[name]


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"
