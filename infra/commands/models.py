"""Verbs about model versions: which there are, how they differ, and which one serves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from infra.stack.errors import StackError
from infra.stack.stack import Stack

if TYPE_CHECKING:
    from models.registry import Registry, Version

models = typer.Typer(
    help="List, compare, tune, promote and roll back model versions.", no_args_is_help=True
)
Number = Annotated[
    str, typer.Argument(metavar="VERSION", help="A number, or an alias as in @champion.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
#: The columns of the list: metric -> heading.
HEADLINES: Final = {
    "ndcg_served": "NDCG",
    "gain_over_best_single": "over best single",
    "retrieval_recall": "recall of candidates",
}


@models.command("list")
def listing(
    most: Annotated[int, typer.Option(min=1, max=200, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List the versions, newest first: what each was worth, and what the gate said."""
    with _registry() as registry:
        found = registry.versions(most)
    if as_json:
        _print([_said(version) for version in found])
        return
    if not found:
        raise StackError("No model version is registered yet: run `millrace nightly`.")
    table = Table("version", "named", "bundle", "made (UTC)", *HEADLINES.values(), "gate", box=None)
    for version in found:
        table.add_row(*_row(version), style="bold" if "champion" in version.aliases else None)
    Console().print(table)


@models.command()
def show(number: Number = "@champion", as_json: Json = False) -> None:
    """Show one version: names, figures, and why the gate let it pass or not."""
    with _registry() as registry:
        version = registry.version(number)
    if as_json:
        _print(_said(version))
        return
    table = Table("", f"version {version.version}", box=None)
    for name, value in _facts(version):
        table.add_row(name, value)
    for name, figure in sorted(version.metrics.items()):
        table.add_row(name, f"{figure:,.4f}")
    Console().print(table)


@models.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    as_json: Json = False,
) -> None:
    """Compare the figures of two versions, each of its own night.

    Nights have different baskets. The gate's figures, on the same ones, are in `gate.json` of the
    run; a notebook (`comparing-two-champions`) pairs any two.
    """
    with _registry() as registry:
        a, b = registry.version(first), registry.version(second)
    names = sorted(set(a.metrics) | set(b.metrics))
    if as_json:
        _print({name: [a.metrics.get(name), b.metrics.get(name)] for name in names})
        return
    table = Table("figure", f"version {a.version}", f"version {b.version}", "B − A", box=None)
    for name in names:
        table.add_row(name, *_beside(a.metrics, b.metrics, name))
    Console().print(table)


@models.command()
def promote(
    number: Number,
    force: Annotated[
        bool, typer.Option(help="Although the gate refused it, or never judged it.")
    ] = False,
) -> None:
    """Make a version @champion; serving follows within seconds."""
    with _registry() as registry:
        version = registry.version(number)
        verdict = version.tags.get("gate", "never judged")
        if verdict != "passed" and not force:
            raise StackError(
                f"Version {version.version} did not pass the gate ({verdict}: "
                f"{version.tags.get('gate_reasons', 'no reasons kept')}). "
                "`--force` promotes it all the same."
            )
        registry.promote(version)
    Console().print(f"version {version.version}, bundle {version.bundle_id}, is @champion")


@models.command()
def rollback() -> None:
    """Make the champion before this one @champion again."""
    with _registry() as registry:
        version = registry.roll_back()
    Console().print(f"version {version.version}, bundle {version.bundle_id}, is @champion again")


@models.command()
def tune() -> None:
    """Search the numbers of ALS on the landed log; later nights learn by the best of them.

    Nine trainings at most, judged on the week before the last. Each is a child of one run,
    "ALS search", in MLflow.
    """
    from infra.stack.spark import TUNE, spark_submit

    spark_submit(Stack.from_environment(), TUNE)


@contextmanager
def _registry() -> Iterator[Registry]:
    from models.registry import Registry, RegistryUnavailable, UnknownVersion

    settings = Stack.from_environment().settings()
    try:
        yield Registry(settings.mlflow, settings.namespace)
    except (RegistryUnavailable, UnknownVersion) as error:
        raise StackError(str(error)) from error


def _row(version: Version) -> tuple[str, ...]:
    figures = (version.metrics.get(name) for name in HEADLINES)
    return (
        version.version,
        " ".join(f"@{alias}" for alias in version.aliases),
        version.bundle_id,
        _time(version.created_at),
        *("–" if figure is None else f"{figure:.4f}" for figure in figures),
        version.tags.get("gate", "–"),
    )


def _facts(version: Version) -> Iterator[tuple[str, str]]:
    yield "named", " ".join(f"@{alias}" for alias in version.aliases) or "–"
    yield "bundle", version.bundle_id
    yield "made (UTC)", _time(version.created_at)
    yield "champion since (UTC)", _time(version.promoted_at) if version.promoted_at else "never"
    yield "MLflow run", version.run_id
    for name in ("gate", "gate_reasons", "night"):
        yield name.replace("_", " "), version.tags.get(name, "–")


def _beside(ours: Mapping[str, float], theirs: Mapping[str, float], name: str) -> list[str]:
    a, b = ours.get(name), theirs.get(name)
    gap = "" if a is None or b is None else f"{b - a:+.4f}"
    return [*("–" if x is None else f"{x:,.4f}" for x in (a, b)), gap]


def _said(version: Version) -> dict[str, Any]:
    return {**asdict(version), "promoted_at": version.promoted_at}


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _print(said: Any) -> None:
    typer.echo(json.dumps(said, indent=2))
