"""The hot store: Redis, one hash per entity, every write guarded by its version.

Keys, under the namespace:
  `user:{actor}`    hash  ring slots -> tiles, `record` -> profile
  `recent:{actor}`  zset  interaction -> event time
  `accepted:{actor}`  zset  the same, for an hour: what the stream may not have written yet
  `item:{id}`       hash  ring slots -> tiles, `record` -> metadata
  `trend:{level}:{start}`  hash  item, and item in a country -> capped engagement in that tile
  `trending`        hash  window -> published lists
  `documents`       hash  name -> what all processes share
  `listed:{actor}`  hash  edition -> the actor's list made in advance
  `items:changed`   zset  item -> when it last changed (the writer's clock)
  `recommendations:user:{actor}`  hash  kind of request -> the result that serving keeps
A stored value starts with its version in fixed-width text (`tiles.Version`), so one comparison of
prefixes decides which write is newer.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import redis

from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores.base import (
    ACCEPTED_MS,
    DAMAGED,
    EDITION,
    LISTS_KEPT_S,
    NO_TILES,
    RECENTS_KEPT,
    RESULT_TTL_S,
    RESULTS_KEPT,
    Document,
    Listed,
    Recent,
    Record,
    StoreUnavailable,
    TrendingList,
    TrendingTile,
    UserState,
    decode_body,
    decode_each,
    decode_segments,
    encode_segments,
)
from feature_store.tiles import (
    DAY,
    DAY_MS,
    LEVELS,
    VERSION_WIDTH,
    Level,
    Tile,
    TileSet,
    Version,
)

RECORD: Final = "record"
#: What a store keeps of a user beside the hash.
THEIRS: Final = ("recent", "accepted", "listed", "recommendations:user")

#: KEYS[1]: a hash. ARGV[1]: seconds to live (0 = for ever), then field, value, field, value, …
UPSERT: Final = f"""
for i = 2, #ARGV, 2 do
  local stored = redis.call('HGET', KEYS[1], ARGV[i])
  local version = string.sub(ARGV[i + 1], 1, {VERSION_WIDTH})
  if not stored or string.sub(stored, 1, {VERSION_WIDTH}) < version then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
if ARGV[1] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
"""
#: KEYS: a user's hash, then all else of theirs. ARGV[1]: a tombstone, then the fields to forget.
#: Forgets once, when the tombstone comes; a replay of it must not take what came later.
ERASE: Final = f"""
local stored = redis.call('HGET', KEYS[1], '{RECORD}')
if stored and string.sub(stored, 1, {VERSION_WIDTH}) >= string.sub(ARGV[1], 1, {VERSION_WIDTH}) then
  return
end
redis.call('DEL', unpack(KEYS, 2))
redis.call('HDEL', KEYS[1], unpack(ARGV, 2))
redis.call('HSET', KEYS[1], '{RECORD}', ARGV[1])
"""
#: KEYS: an actor's lists, and the documents. ARGV: an edition, its list, seconds to live.
#: Of the editions before, only the published one is kept.
LIST: Final = f"""
local published = redis.call('HGET', KEYS[2], '{EDITION}')
for _, edition in ipairs(redis.call('HKEYS', KEYS[1])) do
  if edition ~= published then redis.call('HDEL', KEYS[1], edition) end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
"""
#: KEYS: hashes. ARGV: a command of one, and its arguments. One call of many keys, because to pack
#: and to read a call a key is most of what reading them costs.
EACH: Final = """
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call(ARGV[1], key, unpack(ARGV, 2)) end
return found
"""
UPSERT_SHA: Final = hashlib.sha1(UPSERT.encode(), usedforsecurity=False).hexdigest()

RING: Final = [f"{level.code}{slot:02d}" for level in LEVELS for slot in range(level.slots)]
#: A user whose tiles have all left the ring is forgotten here; Cassandra remembers.
USER_TTL_S: Final = DAY.slots * DAY_MS // 1000
CHANGES_KEPT_MS: Final = DAY_MS
SCAN_BATCH: Final = 500
#: Failures that pass: gone, slow, not speaking the protocol, loading, out of memory, or for now
#: a replica,
UNAVAILABLE: Final = (
    redis.ConnectionError,
    redis.InvalidResponse,
    redis.TimeoutError,
    redis.BusyLoadingError,
    redis.OutOfMemoryError,
    redis.ReadOnlyError,
)
#: or one that answers so: no snapshot possible, busy with a script, without master or replicas.
PASSING: Final = ("MISCONF ", "BUSY ", "MASTERDOWN ", "NOREPLICAS ")

T = TypeVar("T")


class RedisStore:
    """Implements `Store` over one Redis server."""

    name = "redis"
    keeps_all = False

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{namespace}:"

    @classmethod
    def connect(cls, settings: Settings, timeout_s: float = 5.0) -> RedisStore:
        """A store with a connection pool; every command has `timeout_s` to answer."""
        client = redis.Redis.from_url(
            settings.redis,
            decode_responses=True,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # A new connection costs no round trip before its first command.
            lib_name=None,
            lib_version=None,
        )
        return cls(client, settings.namespace)

    def write_tiles(self, tiles: Iterable[Tile]) -> None:
        fields: dict[str, list[str]] = defaultdict(list)
        items: set[str] = set()
        for tile in tiles:
            slot = tile.level.slot(tile.start)
            fields[f"{tile.entity}:{tile.entity_id}"] += (slot, tile.encode())
            if tile.entity == Entity.ITEM:
                items.add(tile.entity_id)
        with self._pipeline() as pipe:
            for key, pairs in fields.items():
                lives = USER_TTL_S if key.startswith(Entity.USER) else 0
                self._upsert(pipe, key, lives, pairs)
            self._changed(pipe, items)

    def write_recents(self, recents: Iterable[tuple[str, Recent]]) -> None:
        members: dict[str, dict[str, int]] = defaultdict(dict)
        for actor, recent in recents:
            members[actor][recent.encode()] = recent.event_time
        with self._pipeline() as pipe:
            for actor, scores in members.items():
                key = self._key("recent", actor)
                pipe.zadd(key, scores)
                pipe.zremrangebyrank(key, 0, -RECENTS_KEPT - 1)
                pipe.expire(key, USER_TTL_S)

    def write_records(self, records: Iterable[Record]) -> None:
        with self._pipeline() as pipe:
            items = set()
            for record in records:
                key, value = f"{record.kind}:{record.key}", record.version.encode() + record.body
                if record.deleted and record.kind is Entity.USER:
                    keys = (self._prefix + key, *(self._key(kind, record.key) for kind in THEIRS))
                    pipe.eval(ERASE, len(keys), *keys, value, *RING)
                    continue
                self._upsert(pipe, key, 0, [RECORD, value])
                if record.kind is Entity.ITEM:
                    items.add(record.key)
            self._changed(pipe, items)

    def write_trending_tiles(self, tiles: Iterable[TrendingTile]) -> None:
        fields: dict[tuple[Level, int], list[str]] = defaultdict(list)
        for tile in tiles:
            value = f"{tile.version.encode()}{tile.weight}"
            fields[tile.level, tile.version.moment] += (tile.member, value)
        with self._pipeline() as pipe:
            for (level, start), pairs in fields.items():
                lives = level.slots * level.ms // 1000
                self._upsert(pipe, f"trend:{level.code}:{start}", lives, pairs)

    def publish_trending(self, trending: TrendingList) -> None:
        value = Version(trending.published_at, 0, 0).encode() + encode_segments(trending)
        with self._pipeline() as pipe:
            self._upsert(pipe, "trending", 0, [trending.window, value])

    def write_document(self, document: Document) -> None:
        with self._pipeline() as pipe:
            self._upsert(pipe, "documents", 0, [document.name, document.encode()])

    def read_document(self, name: str) -> Document | None:
        with self._errors():
            value = _typed(str, self._client.hget(f"{self._prefix}documents", name) or "")
        return Document.decode(name, value) if value else None

    def write_accepted(self, actor: str, recent: Recent) -> None:
        key = self._key("accepted", actor)
        with self._pipeline() as pipe:
            pipe.zadd(key, {recent.encode(): recent.event_time})
            pipe.zremrangebyscore(key, 0, recent.event_time - ACCEPTED_MS)
            pipe.zremrangebyrank(key, 0, -RECENTS_KEPT - 1)
            pipe.pexpire(key, ACCEPTED_MS)

    def write_recommendations(self, lists: Iterable[Listed]) -> None:
        with self._pipeline() as pipe:
            for one in lists:
                keys = (self._key("listed", one.actor), f"{self._prefix}documents")
                edition = Version(one.made_at, 0, 0).encode()
                pipe.eval(LIST, 2, *keys, edition, one.encode(), str(LISTS_KEPT_S))

    def publish_recommendations(self, made_at: int) -> None:
        self.write_document(Document(EDITION, Version(made_at, 0, 0), ""))

    def read_user(self, actor: str, shape: str = "") -> UserState:
        with self._pipeline() as pipe:
            pipe.hgetall(self._key(Entity.USER, actor))
            pipe.zrevrange(self._key("recent", actor), 0, RECENTS_KEPT - 1)
            pipe.zrevrange(self._key("accepted", actor), 0, RECENTS_KEPT - 1)
            if shape:
                pipe.hget(self._key("recommendations:user", actor), shape)
            ring, recents, accepted, *results = pipe.execute()
        body = ring.pop(RECORD, "")[VERSION_WIDTH:]
        return UserState(
            actor=actor,
            tiles=TileSet.from_ring(ring),
            recents=Recent.decode_all(recents),
            profile=decode_body(body) if body else None,
            accepted=Recent.decode_all(accepted),
            result=results[0] if results else None,
        )

    def read_items(self, item_ids: Sequence[str]) -> dict[str, Mapping[str, object]]:
        known = zip(item_ids, self._each(item_ids, "HGET", RECORD), strict=True)
        return decode_each(
            ((i, value[VERSION_WIDTH:]) for i, value in known if value), decode_body, DAMAGED
        )

    def read_item_tiles(self, item_ids: Sequence[str]) -> dict[str, TileSet]:
        found = zip(item_ids, self._each(item_ids, "HGETALL"), strict=True)
        rings = ((item, _fields(said)) for item, said in found if said)
        return decode_each(((i, ring) for i, ring in rings if ring), TileSet.from_ring, NO_TILES)

    def _each(self, item_ids: Sequence[str], *command: str) -> list[Any]:
        """What a command says of each item's hash."""
        keys = [self._key(Entity.ITEM, item) for item in item_ids]
        with self._errors():
            return _typed(list[Any], self._client.eval(EACH, len(keys), *keys, *command))

    def changed_items(self, since_ms: int) -> list[str]:
        with self._errors():
            key = f"{self._prefix}items:changed"
            return _typed(list[str], self._client.zrangebyscore(key, since_ms, "+inf"))

    def read_trending(self, window: str) -> TrendingList | None:
        with self._errors():
            value = _typed(str, self._client.hget(f"{self._prefix}trending", window) or "")
        if not value:
            return None
        version = Version.decode(value)
        return TrendingList(window, version.moment, decode_segments(value[VERSION_WIDTH:]))

    def read_recommendations(self, actor: str) -> Listed | None:
        with self._pipeline() as pipe:
            pipe.hget(f"{self._prefix}documents", EDITION)
            pipe.hgetall(self._key("listed", actor))
            edition, lists = pipe.execute()
        value = lists.get(edition)
        return Listed.decode(actor, Version.decode(edition).moment, value) if value else None

    def read_trending_tiles(self, level: Level, starts: Sequence[int]) -> list[TrendingTile]:
        with self._pipeline() as pipe:
            for start in starts:
                pipe.hgetall(f"{self._prefix}trend:{level.code}:{start}")
            hashes = pipe.execute()
        return [
            TrendingTile.of_member(level, member, value)
            for weights in hashes
            for member, value in weights.items()
        ]

    def keep_result(self, actor: str, shape: str, result: str) -> None:
        key = self._key("recommendations:user", actor)
        with self._pipeline() as pipe:
            pipe.hset(key, shape, result)
            pipe.expire(key, RESULT_TTL_S)
            pipe.hlen(key)
            *_, kept = pipe.execute()
            if kept > RESULTS_KEPT:
                pipe.unlink(key)

    def scan_tiles(self) -> Iterator[Tile]:
        for entity in Entity:
            for key, ring in self._scan(entity, lambda pipe, key: pipe.hgetall(key)):
                ring.pop(RECORD, None)
                for slot, value in ring.items():
                    yield Tile.decode(entity, key, slot, value)

    def scan_records(self) -> Iterator[Record]:
        for entity in Entity:
            for key, value in self._scan(entity, lambda pipe, key: pipe.hget(key, RECORD)):
                if value:
                    yield Record(entity, key, Version.decode(value), value[VERSION_WIDTH:])

    def scan_recents(self) -> Iterator[tuple[str, Recent]]:
        for actor, kept in self._scan("recent", lambda pipe, key: pipe.zrange(key, 0, -1)):
            yield from ((actor, Recent.decode(member)) for member in kept)

    def close(self) -> None:
        self._client.close()

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}{kind}:{name}"

    def _scan(
        self, kind: str, read: Callable[[_Pipeline, str], object]
    ) -> Iterator[tuple[str, Any]]:
        """What is read of each key of a kind, by its name without the prefix."""
        prefix = self._key(kind, "")
        for keys in _chunks(self._keys(prefix), SCAN_BATCH):
            with self._pipeline() as pipe:
                for key in keys:
                    read(pipe, key)
                found = pipe.execute()
            yield from zip((key[len(prefix) :] for key in keys), found, strict=True)

    def _keys(self, prefix: str) -> Iterator[str]:
        """Each key once: Redis may name one twice while it rehashes."""
        seen: set[str] = set()
        with self._errors():
            for key in self._client.scan_iter(match=prefix + "*", count=SCAN_BATCH):
                if key not in seen:
                    seen.add(key)
                    yield key

    def _upsert(self, pipe: _Pipeline, key: str, lives_s: int, pairs: Sequence[str]) -> None:
        """Sends the script once per round trip, so a restarted server never misses it."""
        args = (self._prefix + key, str(lives_s), *pairs)
        if pipe.knows_script:
            pipe.evalsha(UPSERT_SHA, 1, *args)
        else:
            pipe.eval(UPSERT, 1, *args)
            pipe.knows_script = True

    def _changed(self, pipe: _Pipeline, items: Iterable[str]) -> None:
        now = time.time_ns() // 1_000_000
        scores = dict.fromkeys(items, now)
        if scores:
            key = f"{self._prefix}items:changed"
            pipe.zadd(key, scores)
            pipe.zremrangebyscore(key, 0, now - CHANGES_KEPT_MS)

    @contextlib.contextmanager
    def _pipeline(self) -> Iterator[_Pipeline]:
        """One round trip; what the caller left unsent is executed on the way out."""
        with self._errors(), contextlib.closing(_Pipeline(self._client)) as pipe:
            yield pipe
            if len(pipe):
                pipe.execute()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except UNAVAILABLE as error:
            raise StoreUnavailable(f"redis: {error}") from error
        except redis.ResponseError as error:
            # A pipeline puts its own words before those of Redis.
            if str(error).rpartition("caused error: ")[2].startswith(PASSING):
                raise StoreUnavailable(f"redis: {error}") from error
            raise


class _Pipeline(redis.client.Pipeline):
    """A pipeline that remembers whether it already carries the upsert script."""

    knows_script = False

    def __init__(self, client: redis.Redis) -> None:
        pool, callbacks = client.connection_pool, client.response_callbacks
        super().__init__(pool, callbacks, transaction=False, shard_hint=None)  # type: ignore[no-untyped-call]


def _fields(said: Sequence[str]) -> dict[str, str]:
    """A ring by its fields, from field, value, field, value, …"""
    ring = dict(zip(said[::2], said[1::2], strict=True))
    ring.pop(RECORD, None)
    return ring


def _chunks(values: Iterator[str], size: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _typed(_: type[T], value: Any) -> T:
    """redis-py types every reply as maybe awaitable; here they never are."""
    return value  # type: ignore[no-any-return]
