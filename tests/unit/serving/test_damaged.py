"""A value in Redis that nobody of ours wrote costs what it says, and no more: never a 500.

Every part of every value that the store keeps of a user, an item and a list is replaced by what
does not belong there, and everything is asked again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from feature_store.aggregates import Distinct
from feature_store.declaration import Entity
from feature_store.stores.base import Record
from feature_store.stores.redis import RedisStore
from feature_store.tiles import VERSION_WIDTH, Tile, Version
from serving.settings import ServingSettings
from tests.redis_server import RedisServer
from tests.unit.serving.world import DECLARATION, ITEMS, NOW, Make, World, recent, record, trending

#: 1e308 is finite, and two of it are not.
FOREIGN: tuple[Any, ...] = ("x", None, 1e308, -1, 10**30, [1], {"a": 1}, True)
ASKED = (
    "/api/recommendations/ann",
    "/api/recommendations/ann?context=cart&explain=true",
    "/api/recommendations/ann/why/tea",
    "/api/users/ann",
    "/api/users/ann/history",
    "/api/items",
    "/api/items/tea",
    "/api/trending?window=24h",
)
KEPT = ("user:ann", "recent:ann", "accepted:ann", "item:tea", "trending")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer.started(tmp_path_factory.mktemp("redis"))
    store = RedisStore.connect(server.settings)
    store.write_records(map(record, ITEMS))
    profile = {"user_id": "ann", "country": "NO", "preferred_categories": ["dairy"]}
    version = Version(NOW, 0, 0)
    store.write_records([Record(Entity.USER, "ann", version, orjson.dumps(profile).decode())])
    store.write_tiles([*_tiles(Entity.USER, "ann"), *_tiles(Entity.ITEM, "tea")])
    store.write_recents([("ann", recent("tea")), ("ann", recent("milk", "purchase", 60))])
    store.write_accepted("ann", recent("beer", "click"))
    store.publish_trending(trending("beer", "tea"))
    yield server
    store.close()
    server.kill()


@pytest.mark.parametrize("foreign", FOREIGN, ids=repr)
def test_what_does_not_belong_into_a_value_never_breaks_an_answer(
    redis: RedisServer, make: Make, foreign: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    rules = ServingSettings(refresh_s=600, result_s=0, pause_s=0.001)  # each turn reads all
    world = make(hot=RedisStore.connect(redis.settings), rules=rules)
    broken = [
        (key, damage, path, answer)
        for key in KEPT
        for damage in _damages(redis, key, foreign)
        for path, answer in _answers(world)
    ]
    assert not broken
    assert damaged(world, "item")
    assert damaged(world, "answer")


def damaged(world: World, kind: str) -> float:
    sample = world.telemetry.registry.get_sample_value
    return sample("millrace_serving_damaged_total", {"kind": kind}) or 0


def test_a_damaged_item_keeps_its_card_and_the_others_are_read(world: World) -> None:
    world.hot.write_records(
        [Record(Entity.ITEM, "bun", Version(NOW + 1, 0, 0), '{"item_id":"bun","title":7}')]
    )
    world.hot.write_records([record("kiwi", at=NOW + 1)])
    world.parts.items.want(["bun", "kiwi"])
    world.settle()
    assert world.http.get("/api/items/bun").json()["title"] == "Bun"
    assert damaged(world, "item")
    assert world.http.get("/api/items/kiwi").json()["title"] == "Kiwi"


def test_tiles_that_nobody_wrote_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.items.window_values", lambda *_: float("no number"))
    world.hot.write_tiles(_tiles(Entity.ITEM, "tea"))
    world.settle()
    assert damaged(world, "tiles")


def test_a_user_that_cannot_be_read_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.hot, "read_user", lambda *_: 1 / 0)
    world.list_for("ann")
    assert damaged(world, "answer") == 1


def _tiles(entity: Entity, name: str) -> Iterator[Tile]:
    for level in DECLARATION.levels(entity):
        features = DECLARATION.of(entity, level)
        totals = {f.name: [5] if isinstance(f.aggregate, Distinct) else 3 for f in features}
        version = Version(level.start(NOW), 0, 1)
        yield Tile(entity, name, level, version, orjson.dumps(totals).decode())


def _damages(server: RedisServer, key: str, foreign: object) -> Iterator[str]:
    """Each damage, while it is done."""
    client, key = server.client, f"millrace:{key}"
    if client.type(key) == "zset":
        for member, score in client.zrange(key, 0, -1, withscores=True):
            client.zrem(key, member)
            for damaged in _mutants(member, foreign):
                client.zadd(key, {damaged: score})
                yield damaged
                client.zrem(key, damaged)
            client.zadd(key, {member: score})
        return
    for field, value in client.hgetall(key).items():
        for damaged in _mutants(value[VERSION_WIDTH:], foreign):
            client.hset(key, field, value[:VERSION_WIDTH] + damaged)
            yield damaged
        client.hset(key, field, value)


def _mutants(body: str, foreign: object) -> Iterator[str]:
    """The body with one part after the other replaced."""
    said = orjson.loads(body)
    for path in _paths(said):
        yield json.dumps(_with(said, path, foreign))


def _paths(said: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    parts = said.items() if isinstance(said, dict) else enumerate(said) if _listed(said) else ()
    for place, part in parts:
        yield from _paths(part, (*path, place))


def _listed(said: object) -> bool:
    return isinstance(said, list)


def _with(said: Any, path: tuple[Any, ...], foreign: object) -> Any:
    if not path:
        return foreign
    changed = dict(said) if isinstance(said, dict) else list(said)
    changed[path[0]] = _with(said[path[0]], path[1:], foreign)
    return changed


def _answers(world: World) -> Iterator[tuple[str, str]]:
    """What breaks of everything that is asked."""
    world.parts.items.turn()
    world.parts.trending.turn()
    for path in ASKED:
        answer = world.http.get(path)
        if answer.status_code != 200 or "NaN" in answer.text or "Infinity" in answer.text:
            yield path, answer.text
