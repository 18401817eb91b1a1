"""A backfill wins over what a night has repaired, as over everything without the feature."""

from __future__ import annotations

from feature_store.declaration import Entity
from feature_store.stores.memory import MemoryStore
from feature_store.tiles import BASE, DAY, Level, Tile, Version
from infra.backfill import history, raised
from infra.stack.wanted import Wanted

NOW = 100 * DAY.ms
JOB = Wanted(
    name="hot", title="shop-hot-g1", script="job.py", arguments=("--since", str(NOW)), generation=1
)


def tile(level: Level, epoch: int, body: str, generation: int = 0) -> Tile:
    version = Version.of_tile(NOW - 3 * DAY.ms, epoch, 5, generation)
    return Tile(Entity.USER, "ann", level, version, body)


def test_it_wins_over_a_tile_whose_epoch_a_night_has_raised() -> None:
    store = MemoryStore()
    store.write_tiles([tile(BASE, 2, '{"views":4}'), tile(DAY, 0, '{"views":4}')])
    counted = [tile(level, 0, '{"views":4,"buys":1}') for level in (BASE, DAY)]
    store.write_tiles(history(counted, "buys", JOB, 0, NOW, raised(store, 0)))
    assert {one.body for one in store.scan_tiles()} == {'{"views":4,"buys":1}'}
