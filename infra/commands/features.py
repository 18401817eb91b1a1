"""Verbs that show the declaration: what is kept, for whom, at what price, and the SQL of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from textwrap import dedent
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from feature_store import declaration
from feature_store.declaration import Declaration, DeclarationError, Entity, Feature
from feature_store.derived import RATES
from feature_store.settings import Settings
from feature_store.tiles import BASE, TileSet
from infra.stack.errors import StackError
from infra.stack.stack import Stack

features = typer.Typer(help="List the declared features, or explain one.")


@features.callback(invoke_without_command=True)
def listing(context: typer.Context) -> None:
    """List the declared features: what they read, their columns and readers, and their price.

    Bytes are the most that an entity may take in Redis: all slots full, the widest numbers.
    """
    if context.invoked_subcommand:
        return
    declared = _declared(Stack.from_environment().settings())
    table = Table(
        "entity", "feature", "events", "aggregate", "columns", "read by", "bytes", box=None
    )
    for entity in Entity:
        for feature in declared.of(entity):
            table.add_row(*_row(declared, feature))
    Console().print(table)
    for entity in Entity:
        total = sum(map(bytes_at_most, declared.of(entity)))
        Console().print(f"{entity}: {len(declared.of(entity))} features, at most {total:,} bytes")


@features.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The feature's name.")],
    entity: Annotated[
        Entity | None, typer.Option(help="Whose, if users and items have one of that name.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--id", help="Also print the value of this user or item.")
    ] = None,
) -> None:
    """Print the SQL that Flink and Spark run for one feature, and its value for an entity."""
    from batch import compiler as spark
    from streaming import compiler as flink

    settings = Stack.from_environment().settings()
    feature = _find(_declared(settings), name, entity)
    alone = Declaration((feature,))
    of = feature.entity
    _print("Flink: a row for each tile that changed", flink.tiles(alone, of, since=0))
    _print("Spark: the recount", spark.entity_tiles(alone, of, "applied"))
    if alone.lifelong(of):
        _print("Spark: the base", spark.bases(alone, of, "ever", until=0))
    if key is not None:
        typer.echo(f"-- Redis: {of} {key}, now")
        for line in values(feature, _tiles(settings, of, key), _now()):
            typer.echo(line)


def bytes_at_most(feature: Feature) -> int:
    """What the feature may take of one entity's hash: its spelling in every slot that holds it."""
    slots = sum(level.slots for level in feature.levels)
    if any(window.from_base for window in feature.windows):
        slots += BASE.slots
    return slots * (len(f'"{feature.name}":,') + feature.aggregate.widest)


def values(feature: Feature, tiles: TileSet, now: int) -> Iterator[str]:
    """A line for each column of the feature."""
    for window in feature.windows:
        yield f"{feature.column(window)} = {feature.value(tiles, window, now):g}"


def _row(declared: Declaration, feature: Feature) -> tuple[str, ...]:
    columns = [feature.column(window) for window in feature.windows]
    rates = [rate.name for rate in RATES if set(rate.parts(declared) or ()) & set(columns)]
    return (
        feature.entity,
        feature.name,
        " ".join(feature.events),
        repr(feature.aggregate),
        " ".join(columns),
        " ".join(["ranker", *rates]),
        f"{bytes_at_most(feature):,}",
    )


def _declared(settings: Settings) -> Declaration:
    try:
        return declaration.load(settings.features)
    except DeclarationError as error:
        raise StackError(str(error)) from error


def _find(declared: Declaration, name: str, entity: Entity | None) -> Feature:
    found = [f for one in Entity if entity in (None, one) if (f := declared.find(one, name))]
    if not found:
        raise StackError(f"No feature is called {name}: `millrace features` lists them.")
    if len(found) > 1:
        raise StackError(f"Users and items have {name}: say `--entity user` or `--entity item`.")
    return found[0]


def _tiles(settings: Settings, entity: Entity, key: str) -> TileSet:
    """What Redis keeps of one entity."""
    from feature_store.stores.base import StoreUnavailable
    from feature_store.stores.redis import RedisStore

    store = RedisStore.connect(settings)
    try:
        if entity is Entity.USER:
            return store.read_user(key).tiles
        return store.read_item_tiles([key]).get(key, TileSet())
    except StoreUnavailable as error:
        raise StackError(f"{error}. `millrace up` starts the stack.") from error
    finally:
        store.close()


def _print(title: str, sql: str) -> None:
    typer.echo(f"-- {title}\n{dedent(sql).strip()}\n")


def _now() -> int:
    return time.time_ns() // 1_000_000
