"""The declaration means the same on every engine."""

from __future__ import annotations

import pytest

from feature_store import declaration
from tests.builders import NOON, log_of, view
from tests.spec.engines import ENGINES, Flink, Tiles
from tests.spec.examples import EXAMPLES, HORIZON, Example
from tests.spec.worlds import check, messages

FEATURES = declaration.load("feature_store.features")


@pytest.fixture(scope="module", params=ENGINES)
def tiles(request: pytest.FixtureRequest) -> Tiles:
    """What one engine makes of all examples in one run."""
    return ENGINES[request.param]().tiles(FEATURES, HORIZON, messages(EXAMPLES))


@pytest.mark.parametrize(("world", "example"), enumerate(EXAMPLES), ids=[e.says for e in EXAMPLES])
def test_example(tiles: Tiles, world: int, example: Example) -> None:
    check(tiles, world, example)


def test_every_tile_is_the_same_as_the_references(tiles: Tiles) -> None:
    assert tiles == ENGINES["reference"]().tiles(FEATURES, HORIZON, messages(EXAMPLES))


def test_a_job_writes_no_tile_that_began_before_what_it_reads() -> None:
    sent = [view("ann", "milk", at=NOON - 1), view("ann", "milk", at=NOON)]
    tiles = Flink().tiles(FEATURES, HORIZON, log_of(sent), since=NOON)
    assert {(level, start) for _, _, level, start in tiles} == {("m", NOON), ("h", NOON)}
    assert {applied for applied, _ in tiles.values()} == {1}
