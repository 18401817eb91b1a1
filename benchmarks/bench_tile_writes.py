"""Tile writes a second into Redis: ours, against a guarded write per tile in a tuned pipeline.

The baseline is what one writes first: each tile its own key, WATCH-free, with its version checked
by the same kind of script, 500 commands to a pipeline. Ours sends one call per entity.

    .venv/bin/python benchmarks/bench_tile_writes.py

The last line is {"bench": "tile_writes", "ours": …, "baseline": …, "ratio": …}.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import redis

from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores.redis import RedisStore
from feature_store.tiles import LEVELS, Tile, Version
from infra.stack.home import Home
from infra.stack.stack import Stack

USERS, PER_USER, BATCH, ROUNDS = 2_000, 12, 5_000, 5
NOW = 1_773_144_000_000
GUARD = """
local stored = redis.call('GET', KEYS[1])
if not stored or string.sub(stored, 1, 35) < string.sub(ARGV[1], 1, 35) then
  redis.call('SET', KEYS[1], ARGV[1])
end
"""


def tiles(applied: int) -> list[Tile]:
    """Some tiles of every level for each user, as a micro-batch of the stream has them."""
    return [
        Tile(
            Entity.USER,
            f"user-{user}",
            LEVELS[n % 3],
            Version(LEVELS[n % 3].start(NOW - n * LEVELS[n % 3].ms), 0, applied),
            '{"purchases":3,"spend_minor":1234}',
        )
        for user in range(USERS)
        for n in range(PER_USER)
    ]


def baseline(client: redis.Redis, batch: Sequence[Tile]) -> None:
    """A key and a guarded SET per tile."""
    script = client.register_script(GUARD)
    pipe = client.pipeline(transaction=False)
    for count, tile in enumerate(batch, 1):
        key = f"naive:{tile.entity}:{tile.entity_id}:{tile.level.code}:{tile.start}"
        pipe.evalsha(script.sha, 1, key, tile.encode())
        if count % 500 == 0:
            pipe.execute()
    pipe.execute()


def rate(write: Callable[[Sequence[Tile]], None], work: list[Tile]) -> float:
    """Tiles a second."""
    begun = time.perf_counter()
    for start in range(0, len(work), BATCH):
        write(work[start : start + BATCH])
    return len(work) / (time.perf_counter() - begun)


def main() -> None:
    """Both sides in turn, several rounds, on a Redis of their own."""
    with tempfile.TemporaryDirectory() as home:
        stack = Stack(Home(Path(home)))
        stack.up(["redis"])
        try:
            address = stack.environment()["MILLRACE_REDIS"]
            store = RedisStore.connect(Settings(redis=address))
            client = redis.Redis.from_url(address)
            client.script_load(GUARD)
            ours, theirs = [], []
            for applied in range(1, ROUNDS + 1):
                work = tiles(applied)
                ours.append(rate(store.write_tiles, work))
                theirs.append(rate(lambda batch: baseline(client, batch), work))
        finally:
            stack.down(["redis"])
    report(statistics.median(ours), statistics.median(theirs))


def report(ours: float, theirs: float) -> None:
    """Says what it ran on, and the figures."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, median of {ROUNDS} rounds of "
          f"{USERS * PER_USER:,} tiles: {ours:,.0f} tiles/s against {theirs:,.0f}")  # fmt: skip
    figures = {"ours": round(ours), "baseline": round(theirs), "ratio": round(ours / theirs, 2)}
    print(json.dumps({"bench": "tile_writes", **figures}))


if __name__ == "__main__":
    main()
