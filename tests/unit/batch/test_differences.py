"""A comparison finds every way in which a store can be wrong."""

from __future__ import annotations

from dataclasses import replace

from batch.differences import compare
from feature_store.reference import fold, ring
from feature_store.tiles import Tile, Version
from tests.builders import DAY, NOON, log_of, purchase, view
from tests.unit.batch.builders import DECLARATION

LOG = log_of([purchase("ann", "milk", at=NOON, price=1.0), view("bob", "tea", at=NOON + DAY)])
TILES = list(fold(DECLARATION, LOG, 90 * DAY).tiles())


def test_the_same_tiles_are_equal_in_any_order_and_epoch() -> None:
    repaired = [replace(t, version=replace(t.version, epoch=3)) for t in reversed(TILES)]
    assert compare("store", repaired, TILES, {}).equal


def test_a_missing_an_extra_and_a_different_tile_are_told_apart() -> None:
    first, second, *rest = TILES
    stranger = Tile("user", "eve", first.level, Version.of_tile(first.start, 0, 1), "{}")
    wrong = replace(second, body='{"views":9}')
    found = compare("store", [wrong, stranger, *rest], TILES, {"0": 2})
    assert (found.missing, found.different, found.extra) == (1, 1, 1)
    assert not found.equal
    assert len(found.examples) == 3


def test_one_event_applied_twice_is_seen_even_if_the_values_agree() -> None:
    first, *rest = TILES
    twice = replace(first, version=Version.of_tile(first.start, 0, 2))
    assert compare("store", [twice, *rest], TILES, {}).different == 1


def test_nothing_equals_nothing_is_no_proof() -> None:
    assert not compare("store", [], [], {}).equal


def test_a_ring_is_compared_with_what_a_ring_would_keep() -> None:
    level = TILES[0].level
    later = replace(TILES[0], version=Version(TILES[0].start + level.slots * level.ms, 0, 1))
    recounted = [*TILES, later]
    kept = ring(recounted).values()
    assert compare("redis", kept, ring(recounted).values(), {}).equal
    assert compare("redis", kept, recounted, {}).missing == 1


def test_a_tile_without_events_is_as_good_as_none() -> None:
    emptied = Tile("user", "eve", TILES[0].level, Version.of_tile(TILES[0].start, 1, 0), "{}")
    assert compare("store", [*TILES, emptied], TILES, {}).equal
