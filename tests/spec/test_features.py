"""The declaration means the same on every engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import pytest

from feature_store import declaration
from feature_store.reference import Message
from tests.builders import Sent, log_of
from tests.spec.engines import ENGINES, Tiles, body
from tests.spec.examples import EXAMPLES, HORIZON, Example

FEATURES = declaration.load("feature_store.features")


def in_world(world: int, sent: Sent) -> Sent:
    """The message with every id of it in the example's own world."""
    if isinstance(sent.body, bytes):
        return sent
    ids = ("event_id", "user_id", "session_id", "item_id")
    moved = {k: f"{world}/{v}" if k in ids and v else v for k, v in sent.body.items()}
    return replace(sent, body=moved)


def all_messages() -> list[Message]:
    """The logs of all examples, one after the other."""
    return log_of([in_world(n, one) for n, e in enumerate(EXAMPLES) for one in e.sent])


@pytest.fixture(scope="module", params=ENGINES)
def tiles(request: pytest.FixtureRequest) -> Tiles:
    """What one engine makes of all examples in one run."""
    return ENGINES[request.param]().tiles(FEATURES, HORIZON, all_messages())


def named(world: int, key: str) -> str:
    """An id as it is in the example's own world."""
    return key.replace("anon:", f"anon:{world}/") if key.startswith("anon:") else f"{world}/{key}"


def stored(world: int, values: dict[str, int | set[str]]) -> str:
    """A tile's body; a set of actors as the sketch of their hashes, whose meaning is plain here."""
    said = {
        name: value if isinstance(value, int) else sketch(named(world, actor) for actor in value)
        for name, value in values.items()
    }
    return body(**said)


def sketch(actors: Iterable[str]) -> list[int]:
    """The 32 smallest hashes: 63 bits of MD5, big-endian."""
    digests = [hashlib.md5(actor.encode()).digest() for actor in actors]
    return sorted(int.from_bytes(digest[:8], "big") >> 1 for digest in digests)[:32]


@pytest.mark.parametrize(("world", "example"), enumerate(EXAMPLES), ids=[e.says for e in EXAMPLES])
def test_example(tiles: Tiles, world: int, example: Example) -> None:
    for (entity, key, level, start), values in example.tiles.items():
        found = tiles.get((entity, named(world, key) if key else key, level, start))
        assert (found and found[1]) == (None if values is None else stored(world, values))
    for (entity, key, level, start), applied in example.applied.items():
        assert tiles[entity, named(world, key), level, start][0] == applied


def test_every_tile_is_the_same_as_the_references(tiles: Tiles) -> None:
    assert tiles == ENGINES["reference"]().tiles(FEATURES, HORIZON, all_messages())
