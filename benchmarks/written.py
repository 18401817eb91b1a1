"""When is a log written? When the store holds what the end of the log says it must."""

from __future__ import annotations

import time

from benchmarks.log import Log, Tail
from benchmarks.stage import Stage
from feature_store.declaration import Entity
from feature_store.stores.base import Store
from feature_store.tiles import DAY, LEVEL_OF_CODE, Version
from infra.stack.errors import StackError

POLL_S = 0.25


def wait_until_written(stage: Stage, log: Log, timeout_s: float = 1800) -> float:
    """Waits until Redis holds the tiles and recents that the log ends with; returns when.

    Every part of a log ends in its last messages, so what came before them is written too, or
    `check` says that it is not.
    """
    tail = log.tail(stage.features)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        missing = _missing(stage, tail)
        now = time.time()
        if not missing:
            return now
        time.sleep(POLL_S)
    raise StackError(f"Redis lacks {missing} values after {timeout_s:.0f} s: see the stack's logs.")


def check(store: Store, log: Log) -> None:
    """Raises `StackError` unless every event is in exactly one day of its user and its item."""
    applied = dict.fromkeys(Entity, 0)
    for tile in store.scan_tiles():
        if tile.level is DAY:
            applied[Entity(tile.entity)] += tile.version.applied
    if any(total != len(log.distinct) for total in applied.values()):
        raise StackError(
            f"{len(log.distinct):,} events were sent and {applied} are in the tiles: "
            "this side does not do the work, so its speed means nothing."
        )


def _missing(stage: Stage, tail: Tail) -> int:
    prefix = f"{stage.settings.namespace}:"
    pipe = stage.redis.pipeline(transaction=False)
    for entity, key, code, start in tail.tiles:
        pipe.hget(f"{prefix}{entity}:{key}", LEVEL_OF_CODE[code].slot(start))
    for actor in tail.recents:
        pipe.zcard(f"{prefix}recent:{actor}")
    answers = pipe.execute()
    tiles, recents = answers[: len(tail.tiles)], answers[len(tail.tiles) :]
    behind = sum(
        _applied(value, address[3]) != applied
        for value, (address, applied) in zip(tiles, tail.tiles.items(), strict=True)
    )
    return behind + sum(map(int.__ne__, recents, tail.recents.values()))


def _applied(value: str | None, start: int) -> int:
    """Events in a stored tile; 0 where there is none, or that of another turn of the ring."""
    stored = Version.decode(value) if value else None
    return stored.applied if stored and stored.moment == start else 0
