"""Many examples in one log: each in a world of its own, so that no two of them meet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from feature_store.reference import Message
from tests.builders import Sent, log_of
from tests.spec.engines import Tiles, body
from tests.spec.examples import Example


def messages(examples: Sequence[Example]) -> list[Message]:
    """The logs of all examples, one after the other."""
    return log_of([_in_world(n, one) for n, example in enumerate(examples) for one in example.sent])


def check(tiles: Tiles, world: int, example: Example) -> None:
    """Fails unless the tiles say what the example says, to the byte."""
    for (entity, key, level, start), values in example.tiles.items():
        found = tiles.get((entity, _named(world, key) if key else key, level, start))
        assert (found and found[1]) == (None if values is None else _stored(world, values))
    for (entity, key, level, start), applied in example.applied.items():
        assert tiles[entity, _named(world, key), level, start][0] == applied


def _in_world(world: int, sent: Sent) -> Sent:
    """The message with every id of it in the example's own world."""
    if isinstance(sent.body, bytes):
        return sent
    ids = ("event_id", "user_id", "session_id", "item_id")
    moved = {k: f"{world}/{v}" if k in ids and v else v for k, v in sent.body.items()}
    return replace(sent, body=moved)


def _named(world: int, key: str) -> str:
    """An id as it is in the example's own world."""
    return key.replace("anon:", f"anon:{world}/") if key.startswith("anon:") else f"{world}/{key}"


def _stored(world: int, values: dict[str, int | set[str]]) -> str:
    """A tile's body; a set of actors as the sketch of their hashes, whose meaning is plain here."""
    said = {
        name: value if isinstance(value, int) else _sketch(_named(world, actor) for actor in value)
        for name, value in values.items()
    }
    return body(**said)


def _sketch(actors: Iterable[str]) -> list[int]:
    """The 32 smallest hashes: 63 bits of MD5, big-endian."""
    digests = [hashlib.md5(actor.encode()).digest() for actor in actors]
    return sorted(int.from_bytes(digest[:8], "big") >> 1 for digest in digests)[:32]
