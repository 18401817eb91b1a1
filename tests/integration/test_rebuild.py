"""Redis lost everything: it is refilled from Cassandra or the lake, and is what it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from typer.testing import CliRunner, Result

from feature_store.declaration import Entity, load
from feature_store.events import canonical, decode_item, decode_profile
from feature_store.reference import Fold
from feature_store.settings import Settings
from feature_store.stores.base import Recent, Record, Store, TrendingList, TrendingTile
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAY, HOUR, MINUTE, Tile, Version
from feature_store.trending import fold
from infra.cli import app
from infra.rebuild import from_store
from infra.rebuild import rebuild as refill
from infra.stack.stack import Stack
from infra.traffic.message import Message
from infra.traffic.producer import Sender
from tests.builders import interaction
from tests.kafka_log import read_log
from tests.spec.engines import engagement
from tests.unit.serving.world import ITEMS, World, publish_bundle, recent, record

NOW = time.time_ns() // 1_000_000
TODAY = DAY.start(NOW)


@dataclass(frozen=True)
class Shop:
    """A namespace of both stores, and what Redis holds of it."""

    settings: Settings
    client: redis.Redis
    hot: Store
    kept: Store

    def dump(self) -> dict[str, object]:
        """Every key with its content, but for when items last changed."""
        keys = self.client.scan_iter(match=f"{self.settings.namespace}:*")
        return {key: self._content(key) for key in keys if not key.endswith("items:changed")}

    def lose(self) -> None:
        """What FLUSHALL does, to this namespace alone."""
        for key in list(self.client.scan_iter(match=f"{self.settings.namespace}:*")):
            self.client.delete(key)
        assert self.dump() == {}

    def _content(self, key: str) -> object:
        if self.client.type(key) == "hash":
            return self.client.hgetall(key)
        return self.client.zrange(key, 0, -1, withscores=True)


@pytest.fixture
def shop(stack: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("MILLRACE_HOME", str(stack.home.root))
    monkeypatch.setenv("MILLRACE_NAMESPACE", settings.namespace)
    told = stack.settings()
    client = redis.Redis.from_url(told.redis, decode_responses=True)
    shop = Shop(told, client, RedisStore.connect(told), CassandraStore.connect(told))
    yield shop
    shop.hot.close()
    shop.kept.close()


def fill(store: Store) -> None:
    """Something of every kind, the erased and the deleted too."""
    store.write_records(
        [
            Record(Entity.USER, "eve", Version(NOW, 0, 1), ""),
            Record(Entity.USER, "ann", Version(NOW, 0, 2), '{"segment":"s"}'),
            Record(Entity.ITEM, "milk", Version(NOW, 0, 3), '{"title":"Milk"}'),
            Record(Entity.ITEM, "tea", Version(NOW, 0, 4), ""),
        ]
    )
    store.write_tiles(
        Tile(entity, f"{entity}-{n}", level, Version.of_tile(level.start(NOW), 0, n, 1), "{}")
        for entity in Entity
        for level in (MINUTE, HOUR, DAY)
        for n in range(1, 500)
    )
    store.write_recents(
        (f"user-{n}", Recent(NOW - n, f"event-{n}", "view", "milk", 1, 199, "")) for n in range(999)
    )
    store.write_trending_tiles(
        TrendingTile(level, Version.of_tile(level.start(NOW) - age * level.ms, 0, 1), "milk", 5)
        for level in (MINUTE, HOUR)
        for age in range(-4 if level is MINUTE else 0, 20)
    )
    store.publish_trending(TrendingList("1h", NOW, {"": [("milk", 2.5)]}))


def rebuild(*arguments: str) -> Result:
    done = CliRunner().invoke(app, ["rebuild", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done


def test_a_redis_refilled_from_cassandra_is_what_it_was(shop: Shop) -> None:
    for store in (shop.hot, shop.kept):
        fill(store)
    before = shop.dump()
    shop.lose()
    assert "from kept" in rebuild().stdout
    assert shop.dump() == before
    rebuild()
    assert shop.dump() == before


def tile_of(user: str, applied: int) -> Tile:
    """A user's views of today."""
    version = Version.of_tile(TODAY, 0, applied)
    return Tile(Entity.USER, user, DAY, version, f'{{"views":{applied}}}')


def test_what_the_stream_has_written_meanwhile_stays(shop: Shop) -> None:
    shop.kept.write_tiles([tile_of("ann", applied=3)])
    shop.hot.write_tiles([tile_of("ann", applied=4)])
    rebuild("--from", "kept")
    assert [*shop.hot.scan_tiles()] == [tile_of("ann", applied=4)]


def test_a_redis_refilled_from_the_lake_is_what_the_log_says(shop: Shop) -> None:
    described = b'{"item_id":"milk","title":"Milk","description":"whole","price":0.99}'
    who = b'{"user_id":"ann","segment":"s","language":"de"}'
    sent = [
        interaction(
            "purchase" if n % 4 else "view",
            f"u{n % 9}",
            "milk",
            at=NOW - n,
            price=2.5,
            context={"country": "NO" if n % 3 else "Norway"},
        )
        for n in range(2500)
    ]
    with Sender(shop.settings) as sender:
        sender.send(Message("item-metadata", b"milk", described, 0))
        sender.send(Message("item-metadata", b"tea", None, 0))
        sender.send(Message("user-profile-updates", b"ann", who, 0))
        bodies = [orjson.dumps(one.body) for one in sent]
        for one, body in zip(sent + sent[:50], bodies + bodies[:50], strict=True):
            key = str(one.body["user_id"]).encode()  # type: ignore[index]
            sender.send(Message("user-interactions", key, body, 0))
    with Sender(shop.settings) as sender:
        sender.send(Message("user-profile-updates", b"u1", None, 0))

    assert "from lake" in rebuild().stdout

    log = read_log(shop.settings, "user-interactions")
    folded = Fold(load(shop.settings.features), shop.settings.horizon_ms)
    trends = fold(engagement(folded, log))
    assert {*shop.hot.scan_tiles()} == {t for t in folded.tiles() if t.entity_id != "u1"}
    listed = [
        tile
        for level in (MINUTE, HOUR)
        for tile in shop.hot.read_trending_tiles(
            level, range(level.start(NOW - 4000), NOW, level.ms)
        )
    ]
    assert {*listed} == {*trends}
    assert {tile.country for tile in listed} == {"", "NO"}
    found = {(record.kind, record.key): record.body for record in shop.hot.scan_records()}
    assert found == {
        (Entity.ITEM, "milk"): canonical(decode_item(described)),  # type: ignore[arg-type]
        (Entity.ITEM, "tea"): "",
        (Entity.USER, "ann"): canonical(decode_profile(who)),  # type: ignore[arg-type]
        (Entity.USER, "u1"): "",
    }
    assert shop.hot.read_user("u1").recents == ()
    newest = sorted((one.body["event_time"] for one in sent[3::9]), reverse=True)[:200]  # type: ignore[index]
    assert [one.event_time for one in shop.hot.read_user("u3").recents] == newest


def test_answers_keep_coming_and_forget_nothing_while_redis_is_refilled(
    shop: Shop, tmp_path: Path
) -> None:
    """Zoe has a profile, and last night's bundle does not know her."""
    for store in (shop.hot, shop.kept):
        zoe = Record(Entity.USER, "zoe", Version(NOW, 0, 0), '{"segment":"s"}')
        store.write_records([*map(record, ITEMS), zoe])
        store.write_tiles([tile_of("zoe", applied=1)])
        store.write_recents([("zoe", recent("milk"))])
    publish_bundle(tmp_path)
    world = World(tmp_path, shop.hot, shop.kept, kept_deadline_s=10).settle()
    before, said = world.list_for("zoe"), list[dict[str, Any]]()
    shop.lose()
    parts = from_store(shop.kept, NOW)
    refill(shop.hot, parts, lambda part, written: said.append(world.list_for("zoe")))
    said.append(world.list_for("zoe"))
    assert {answer["last_event_id"] for answer in (before, *said)} == {"view-milk"}
    whence = [answer["features_from"] for answer in said]
    assert whence == sorted(whence)
    assert whence.count("cassandra") > 3
    assert before["features_from"] == whence[-1] == "redis"
