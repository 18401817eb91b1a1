"""`millrace backfill`: the history of a new feature, from the recount into both stores.

The stream's job folds the new feature into the tiles since its start. Older ones are no longer
written by anybody; here they are counted again and written in the job's generation, which wins
over the same events folded without the feature. Nothing that the stream writes is touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Final

import typer
from rich.console import Console

from batch.lake import Lake
from batch.recount import recounted_tiles
from feature_store.declaration import Declaration, load
from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import BASE, Tile, Version
from infra.stack.declarations import freeze
from infra.stack.errors import StackError
from infra.stack.jobs import find
from infra.stack.spark import NIGHTLY, spark_submit
from infra.stack.stack import Stack
from infra.stack.wanted import Wanted

STORES: Final[dict[str, Callable[[Settings], Store]]] = {
    "hot": RedisStore.connect,
    "kept": CassandraStore.connect,
}

#: Where a store that keeps every tile keeps one: entity, id, level, address.
Place = tuple[str, str, str, int]


def raised(store: Store, epoch: int) -> dict[Place, int]:
    """The epochs that nights have raised above `epoch` in what they repaired."""
    versions = ((_place(tile), tile.version) for tile in store.scan_tiles())
    return {place: version.epoch for place, version in versions if version.epoch > epoch}


def history(
    tiles: Iterable[Tile],
    feature: str,
    job: Wanted,
    epoch: int,
    now: int,
    above: Mapping[Place, int],
) -> Iterator[Tile]:
    """Those tiles that hold the feature, are not the job's own, and would not expire at once.

    In `epoch`, or in the higher one that a night has raised a place to.
    """
    for tile in tiles:
        mine = tile.level is not BASE and tile.start >= job.since
        if f'"{feature}":' in tile.body and not mine and tile.start > now - tile.level.kept_ms:
            applied = tile.version.applied
            theirs = above.get(_place(tile), epoch)
            version = Version.of_tile(tile.start, theirs, applied, job.generation)
            yield replace(tile, version=version)


def backfill(settings: Settings, feature: str, job: Wanted, store: Store) -> int:
    """Writes a feature's history into the store of `job`; returns the number of tiles."""
    recounted = recounted_tiles(Lake(settings.lake))
    epoch, now = settings.epoch, time.time_ns() // 1_000_000
    found = [*history(recounted, feature, job, epoch, now, raised(store, epoch))]
    store.write_tiles(found)
    return len(found)


def _place(tile: Tile) -> Place:
    return tile.entity, tile.entity_id, tile.level.code, tile.level.address(tile.start)


def run(
    feature: Annotated[str, typer.Argument(help="Its name in the declaration.")],
) -> None:
    """Give a new feature its history: land, recount, and write the tiles before the stream's.

    First `millrace stream upgrade`, then this. It takes the minutes of a recount; answers go on.
    """
    stack = Stack.from_environment()
    settings = stack.settings()
    _require_declared(load(settings.features), feature)
    jobs = {deployment: _job_of_now(stack, deployment) for deployment in STORES}
    spark_submit(stack, NIGHTLY, ["--recount-only"])
    for deployment, job in jobs.items():
        store = STORES[deployment](settings)
        written = backfill(settings, feature, job, store)
        Console().print(f"{store.name}: {written:,} tiles with {feature}", highlight=False)
        store.close()


def _require_declared(declaration: Declaration, feature: str) -> None:
    names = sorted({one.name for one in declaration.features})
    if feature not in names:
        raise StackError(f"No feature is called {feature}; there are {', '.join(names)}.")


def _job_of_now(stack: Stack, deployment: str) -> Wanted:
    """The deployment's job; raises `StackError` when it folds by another declaration."""
    job = find(stack, deployment)
    if job is None:
        raise StackError(f"{deployment} was never submitted: type `millrace stream submit`.")
    now = freeze(stack.home, stack.settings().features)["MILLRACE_FEATURES"]
    if job.environment["MILLRACE_FEATURES"] != now:
        raise StackError(
            f"{deployment} folds by another declaration: type `millrace stream upgrade` first."
        )
    return job
