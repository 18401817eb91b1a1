"""Verbs that show the features: what is kept, for whom, at what price, and what is made of it."""

from __future__ import annotations

import os
import time
from textwrap import dedent
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from feature_store import declaration
from feature_store.declaration import Declaration, DeclarationError, Entity, Feature
from feature_store.derived import Derived
from feature_store.settings import Settings
from feature_store.tiles import BASE
from feature_store.vectors import derived_columns
from infra.commands import live
from infra.stack.errors import StackError
from infra.stack.ports import LOOPBACK
from infra.stack.prerequisites import java_home
from infra.stack.stack import Stack

features = typer.Typer(help="List the features, declared and derived, or explain one.")
#: Who reads every column.
RANKER = "ranker"


@features.callback(invoke_without_command=True)
def listing(context: typer.Context) -> None:
    """List the features: what they read, their columns and readers, and their price.

    Bytes are the most that an entity may take in Redis: all slots full, the widest numbers. What
    is derived when it is read takes none.
    """
    if context.invoked_subcommand:
        return
    declared = _declared(Stack.from_environment().settings())
    kept = Table(
        "entity", "feature", "events", "aggregate", "columns", "read by", "bytes", box=None
    )
    for entity in Entity:
        for feature in declared.of(entity):
            kept.add_row(*_row(declared, feature))
    Console().print(kept)
    for entity in Entity:
        total = sum(map(bytes_at_most, declared.of(entity)))
        Console().print(f"{entity}: {len(declared.of(entity))} features, at most {total:,} bytes")
    made = Table("about", "column", "derived from", "read by", box=None)
    for column in derived_columns(declared):
        made.add_row(column.about, column.name, ", ".join(column.reads), RANKER)
    Console().print("\nDerived when they are read:", made)


@features.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The feature's name.")],
    entity: Annotated[
        Entity | None, typer.Option(help="Whose, if users and items have one of that name.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--id", help="Also print the value of this user or item.")
    ] = None,
    item: Annotated[
        str | None, typer.Option(help="With --id USER: the item, of what is derived for a pair.")
    ] = None,
    plan: Annotated[
        bool, typer.Option(help="Also print Spark's plan; starts Spark, which takes seconds.")
    ] = False,
) -> None:
    """Print the SQL that Flink and Spark run for one feature, and its value for an entity.

    Of a column that is derived when it is read, print what it is made of, and how.
    """
    settings = Stack.from_environment().settings()
    declared = _declared(settings)
    found = _find(declared, name, entity)
    if item and not (key and isinstance(found, Derived) and found.about == "pair"):
        raise StackError("--item goes with --id USER, for a column that is derived for a pair.")
    if plan and isinstance(found, Derived):
        raise StackError(f"{name} is derived when it is read: Spark has no plan for it.")
    if isinstance(found, Derived):
        _explain_derived(found)
    else:
        _explain_declared(found, settings.horizon_ms if plan else None)
    if key is None:
        return
    with live.redis(settings) as store:
        if isinstance(found, Derived):
            line = live.derived(store, declared, found, key, item, _now())
            whose = f"user {key} and item {item}" if item else f"{found.about} {key}"
            typer.echo(f"-- Redis: {whose}, now\n{line}")
        else:
            typer.echo(f"-- Redis: {found.entity} {key}, now")
            for line in live.windowed(store, found, key, _now()):
                typer.echo(line)


def bytes_at_most(feature: Feature) -> int:
    """What the feature may take of one entity's hash: its spelling in every slot that holds it."""
    slots = sum(level.slots for level in feature.levels)
    if any(window.from_base for window in feature.windows):
        slots += BASE.slots
    return slots * (len(f'"{feature.name}":,') + feature.aggregate.widest)


def _explain_declared(feature: Feature, plan_for_ms: int | None) -> None:
    """The SQL of both engines, and with a horizon (ms) what Spark makes of it."""
    from batch import compiler as spark
    from streaming import compiler as flink

    alone, of = Declaration((feature,)), feature.entity
    _print("Flink: a row for each tile that changed", flink.tiles(alone, of, since=0))
    recount = {"the recount": spark.entity_tiles(alone, of, "applied")}
    if alone.lifelong(of):
        recount["the base"] = spark.bases(alone, of, "ever", until=0)
    for what, query in recount.items():
        _print(f"Spark: {what}", query)
    if plan_for_ms is not None:
        for what, made in zip(recount, _plans([*recount.values()], plan_for_ms), strict=True):
            _print(f"Spark's plan of {what}", made)


def _explain_derived(column: Derived) -> None:
    typer.echo(
        f"-- {column.name}: derived when it is read, by serving and training alike\n"
        f"how:      {column.how}\n"
        f"reads:    {', '.join(column.reads)}\n"
        f"read by:  {RANKER}\n"
    )


def _plans(queries: list[str], horizon_ms: int) -> list[str]:
    from batch.plan import plans

    os.environ.setdefault("JAVA_HOME", str(java_home()))
    os.environ.setdefault("SPARK_LOCAL_IP", LOOPBACK)
    return plans(queries, horizon_ms)


def _row(declared: Declaration, feature: Feature) -> tuple[str, ...]:
    columns = [feature.column(window) for window in feature.windows]
    readers = [one.name for one in derived_columns(declared) if set(one.reads) & set(columns)]
    return (
        feature.entity,
        feature.name,
        " ".join(feature.events),
        repr(feature.aggregate),
        " ".join(columns),
        " ".join([RANKER, *readers]),
        f"{bytes_at_most(feature):,}",
    )


def _declared(settings: Settings) -> Declaration:
    try:
        return declaration.load(settings.features)
    except DeclarationError as error:
        raise StackError(str(error)) from error


def _find(declared: Declaration, name: str, entity: Entity | None) -> Feature | Derived:
    found = [f for one in Entity if entity in (None, one) if (f := declared.find(one, name))]
    if len(found) > 1:
        raise StackError(f"Users and items have {name}: say `--entity user` or `--entity item`.")
    if found:
        return found[0]
    for column in derived_columns(declared):
        if column.name == name:
            return column
    raise StackError(f"No feature is called {name}: `millrace features` lists them.")


def _print(title: str, sql: str) -> None:
    typer.echo(f"-- {title}\n{dedent(sql).strip()}\n")


def _now() -> int:
    return time.time_ns() // 1_000_000
