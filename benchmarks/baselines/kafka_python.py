"""Baseline: a plain Kafka consumer in Python that keeps every tile in dictionaries.

Fair, because it is what one writes who wants speed without a stream processor, tuned: orjson,
large fetches without checksums, no garbage collection, one pipelined round trip for up to 10,000
messages, each tile written once per round trip, and the declaration made ready beforehand. It
writes the same tiles, recents and trending tiles as our job. In its favour: it validates nothing
beyond what it reads, writes no dead letters, publishes no trending lists, has no guard against an
older value, keeps its duplicates for ever, and forgets everything when it dies. One process,
because two could not share an item's tile with absolute writes.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import redis
from kafka import KafkaConsumer

from benchmarks.baselines.folding import Event, Plan, decode, plans
from feature_store import declaration
from feature_store.declaration import Declaration, Entity
from feature_store.settings import Settings
from feature_store.stores.base import RECENTS_KEPT
from feature_store.stores.redis import USER_TTL_S
from feature_store.tiles import Level, Version
from feature_store.topics import INTERACTIONS
from feature_store.trending import CAP, TRENDING

Tiles = dict[tuple[str, int], list[Any]]


class Tally:
    """The tiles of one entity at one level, and which of them changed since the last flush."""

    def __init__(self, plan: Plan) -> None:
        self.level = plan.level
        self._plan = plan
        self._tiles: Tiles = {}
        self._changed: Tiles = {}

    def add(self, key: str, event: Event, age: int) -> None:
        """Adds an event, unless it came too late for this level."""
        if age > self.level.span_ms:
            return
        address = (key, event.time - event.time % self.level.ms)
        tile = self._tiles.get(address)
        if tile is None:
            tile = self._tiles[address] = self._plan.tile()
        self._plan.add(tile, event)
        self._changed[address] = tile

    def changes(self, epoch: int) -> Iterable[tuple[str, str, str]]:
        """(entity id, ring slot, value) of each tile that changed; forgets that it did."""
        changed, self._changed = self._changed, {}
        for (key, start), tile in changed.items():
            yield key, self.level.slot(start), self._plan.spell(tile, start, epoch)


class Trend:
    """Engagement per item and tile of one level, each actor's share capped."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self._shares: dict[tuple[str, str, int], int] = defaultdict(int)
        self._tiles: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        self._changed: Tiles = {}

    def add(self, event: Event, age: int) -> None:
        """Adds an event, unless it came too late for this level."""
        if age > self.level.span_ms:
            return
        start = event.time - event.time % self.level.ms
        share = (event.actor, event.item, start)
        before = self._shares[share]
        after = self._shares[share] = before + event.numbers[3]
        tile = self._tiles[event.item, start]
        tile[0] += 1
        tile[1] += _capped(after) - _capped(before)
        self._changed[event.item, start] = tile

    def changes(self, epoch: int) -> Iterable[tuple[int, str, str]]:
        """(tile start, item, value) of each tile that changed; forgets that it did."""
        changed, self._changed = self._changed, {}
        for (item, start), (applied, weight) in changed.items():
            yield start, item, f"{Version.of_tile(start, epoch, applied).encode()}{weight}"


class Fold:
    """Everything the consumer remembers."""

    def __init__(self, features: Declaration, settings: Settings) -> None:
        self._horizon_ms, self._epoch = settings.horizon_ms, settings.epoch
        self._prefix = f"{settings.namespace}:"
        self._users = [Tally(plan) for plan in plans(features, Entity.USER)]
        self._items = [Tally(plan) for plan in plans(features, Entity.ITEM)]
        self._trends = [Trend(level) for level in {window.level for window in TRENDING}]
        self._recents: dict[str, dict[str, int]] = defaultdict(dict)
        self._seen: set[tuple[str, str]] = set()
        self.bad = 0

    def add(self, value: bytes, append_time: int) -> None:
        """Applies one message."""
        try:
            event = decode(value)
        except (AttributeError, KeyError, TypeError, ValueError):
            self.bad += 1
            return
        age, identity = append_time - event.time, (event.actor, event.event_id)
        if age > self._horizon_ms or identity in self._seen:
            return
        self._seen.add(identity)
        self._recents[event.actor][event.recent()] = event.time
        for tally in self._users:
            tally.add(event.actor, event, age)
        if event.item:
            for tally in self._items:
                tally.add(event.item, event, age)
            for trend in self._trends:
                trend.add(event, age)

    def flush(self, client: redis.Redis) -> None:
        """Writes what changed, in one round trip."""
        pipe: Any = client.pipeline(transaction=False)
        for key, fields in self._rings(Entity.USER, self._users).items():
            pipe.execute_command("HSET", key, *fields)
            pipe.expire(key, USER_TTL_S)
        items = self._rings(Entity.ITEM, self._items)
        for key, fields in items.items():
            pipe.execute_command("HSET", key, *fields)
        if items:
            now, start = time.time_ns() // 1_000_000, len(self._prefix) + len("item:")
            pipe.zadd(f"{self._prefix}items:changed", {key[start:]: now for key in items})
        self._write_recents(pipe)
        self._write_trends(pipe)
        pipe.execute(raise_on_error=True)

    def _rings(self, entity: Entity, tallies: list[Tally]) -> dict[str, list[str]]:
        fields: dict[str, list[str]] = defaultdict(list)
        for tally in tallies:
            for key, slot, value in tally.changes(self._epoch):
                fields[f"{self._prefix}{entity}:{key}"] += (slot, value)
        return fields

    def _write_recents(self, pipe: Any) -> None:
        recents, self._recents = self._recents, defaultdict(dict)
        for actor, scores in recents.items():
            key = f"{self._prefix}recent:{actor}"
            pipe.zadd(key, scores)
            pipe.zremrangebyrank(key, 0, -RECENTS_KEPT - 1)
            pipe.expire(key, USER_TTL_S)

    def _write_trends(self, pipe: Any) -> None:
        for trend in self._trends:
            fields: dict[int, list[str]] = defaultdict(list)
            for start, item, value in trend.changes(self._epoch):
                fields[start] += (item, value)
            for start, pairs in fields.items():
                key = f"{self._prefix}trend:{trend.level.code}:{start}"
                pipe.execute_command("HSET", key, *pairs)
                pipe.expire(key, trend.level.slots * trend.level.ms // 1000)


def _capped(weight: int) -> int:
    return max(-CAP, min(CAP, weight))


def consume(settings: Settings, messages: int) -> dict[str, float]:
    """Applies so many messages; returns when the first came and when the last was written."""
    consumer = KafkaConsumer(
        settings.topic(INTERACTIONS.name),
        bootstrap_servers=settings.kafka,
        group_id=f"{settings.namespace}-kafka-python-{time.time_ns()}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        check_crcs=False,
        max_poll_records=10_000,
        max_partition_fetch_bytes=4 * 2**20,
        metrics_enabled=False,
    )
    client = redis.Redis.from_url(settings.redis)
    fold = Fold(declaration.load(settings.features), settings)
    taken, begun = 0, 0.0
    while taken < messages:
        for records in consumer.poll(1000).values():
            begun = begun or time.time()
            taken += len(records)
            for record in records:
                fold.add(record.value, record.timestamp)
        fold.flush(client)
        consumer.commit_async()
    ended = time.time()
    consumer.close()
    return {"begun": begun, "ended": ended, "bad": fold.bad}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--messages", type=int, required=True, help="apply so many, then end")
    arguments = parser.parse_args()
    gc.disable()
    print(json.dumps(consume(Settings(), arguments.messages)))


if __name__ == "__main__":
    main()
