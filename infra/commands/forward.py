"""Verbs whose code is loaded only when they are used: `millrace --help` must not wait for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module

import typer

from infra.stack.stack import Stack

# The real command reads its own options, `--help` too.
PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def forward(app: typer.Typer, name: str, target: str, summary: str, panel: str) -> None:
    """Add the verb `name` to `app`; `target` is the "module:function" of a typer command.

    The function finds the addresses of this stack in its environment, whatever addresses of
    another one the caller's environment still names.
    """

    def command(context: typer.Context) -> None:
        module, _, function = target.partition(":")
        for key, value in Stack.from_environment().environment().items():
            os.environ[key] = value
        _run(getattr(import_module(module), function), name, context.args)

    app.command(name, help=summary, rich_help_panel=panel, context_settings=PASS_ON)(command)


def _run(function: Callable[..., None], name: str, arguments: list[str]) -> None:
    real = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    real.command()(function)
    real(arguments, prog_name=f"millrace {name}")
