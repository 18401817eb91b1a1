"""Baseline: the same features as a PyFlink job with keyed state in Python.

Fair, because it is what a good engineer writes who reads PyFlink's documentation: the DataStream
API, events keyed by their actor, deduplicated, then keyed by their item; all that is known of a
key in one value with a time to live, because every look-up of state is a round trip to the JVM
(map state was tried: three of them for each event); orjson; the declaration made ready
beforehand; large bundles and state caches; writes gathered for a tenth of a second, each tile
once, in one pipeline. State backend and parallelism are the hot job's; checkpoints come every 10 s
(hot's every 20). In its favour: it validates nothing beyond what it reads, writes no dead letters,
publishes no trending lists, has no guard against an older value, and loses its unwritten tenth of a
second when it dies.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import redis
from pyflink.common import Configuration, Time, Types, WatermarkStrategy
from pyflink.common.serialization import SimpleStringSchema
from pyflink.datastream import (
    KeyedProcessFunction,
    ProcessFunction,
    RuntimeContext,
    StreamExecutionEnvironment,
)
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource
from pyflink.datastream.state import StateTtlConfig, ValueStateDescriptor

from benchmarks.baselines.folding import Event, Plan, decode, plans
from feature_store import declaration
from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores.base import RECENTS_KEPT
from feature_store.stores.redis import USER_TTL_S
from feature_store.tiles import DAY_MS, Level, Version
from feature_store.topics import INTERACTIONS
from feature_store.trending import CAP, TRENDING

#: Ring slot -> the tile's start and the tile.
Rings = dict[str, tuple[int, list[Any]]]
#: (level, tile start) -> events applied and their capped weight.
Trends = dict[tuple[str, int], tuple[int, int]]
FLUSH_MS = 100
#: Bundles as large as memory likes and as short as the hot job's; caches for a bundle's keys.
TUNING = {
    "execution.checkpointing.interval": "10 s",
    "python.fn-execution.bundle.size": "10000",
    "python.fn-execution.bundle.time": "50",
    "python.state.cache-size": "50000",
}


class Decode(ProcessFunction):  # type: ignore[misc]
    """A message and its append time -> (event, its age on arrival); drops bad and late ones."""

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms

    def process_element(self, value: str, ctx: Any) -> Iterator[tuple[Event, int]]:
        try:
            event = decode(value.encode())
        except (AttributeError, KeyError, TypeError, ValueError):
            return
        age = ctx.timestamp() - event.time
        if age <= self._horizon_ms:
            yield event, age


class Writer(KeyedProcessFunction):  # type: ignore[misc]
    """Folds into keyed state and gathers what to write; a timer flushes it all at once."""

    def __init__(self, settings: Settings, plans: tuple[Plan, ...]) -> None:
        self.settings = settings
        self.plans = plans
        self.prefix = f"{settings.namespace}:"

    def open(self, runtime_context: RuntimeContext) -> None:
        self._client = redis.Redis.from_url(self.settings.redis)
        self._due = False
        self.hashes: dict[str, dict[str, str]] = {}
        descriptor = ValueStateDescriptor("known", Types.PICKLED_BYTE_ARRAY())
        # As long as the hot job's.
        lives = Time.milliseconds(self.settings.horizon_ms + 2 * DAY_MS)
        descriptor.enable_time_to_live(StateTtlConfig.new_builder(lives).build())
        self.known = runtime_context.get_state(descriptor)

    def fold(self, tiles: Rings, entity: Entity, key: str, event: Event, age: int) -> None:
        """Adds the event to the entity's tile at every level it is young enough for."""
        for plan in self.plans:
            level = plan.level
            if age <= level.span_ms:
                start = event.time - event.time % level.ms
                slot = level.slot(start)
                begun, tile = tiles.get(slot, (0, []))
                tile = tile if begun == start else plan.tile()
                plan.add(tile, event)
                tiles[slot] = start, tile
                value = plan.spell(tile, start, self.settings.epoch)
                self.gather(f"{self.prefix}{entity}:{key}", slot, value)

    def gather(self, key: str, name: str, value: str) -> None:
        """Remembers one field of one hash until the next flush."""
        self.hashes.setdefault(key, {})[name] = value

    def flush_soon(self, ctx: Any) -> None:
        """One timer for all that is gathered: the first to gather sets it."""
        if not self._due:
            self._due = True
            timers = ctx.timer_service()
            timers.register_processing_time_timer(timers.current_processing_time() + FLUSH_MS)

    def on_timer(self, timestamp: int, ctx: Any) -> Iterator[Any]:
        pipe: Any = self._client.pipeline(transaction=False)
        for key, fields in self.hashes.items():
            pipe.hset(key, mapping=fields)
        self.finish(pipe)
        pipe.execute()
        self.hashes.clear()
        self._due = False
        return iter(())

    @abstractmethod
    def finish(self, pipe: Any) -> None:
        """Adds what else belongs into this flush."""


class FoldUsers(Writer):
    """Per actor: deduplicates, folds user tiles and recents, passes on what counts for the item."""

    def open(self, runtime_context: RuntimeContext) -> None:
        super().open(runtime_context)
        self._recents: dict[str, dict[str, int]] = {}
        self._trends: tuple[Level, ...] = tuple({window.level for window in TRENDING})

    def process_element(self, value: tuple[Event, int], ctx: Any) -> Iterator[Any]:
        event, age = value
        known: tuple[set[str], Rings, dict[str, int]] = self.known.value() or (set(), {}, {})
        seen, tiles, shares = known
        if event.event_id in seen:
            return
        seen.add(event.event_id)
        self.fold(tiles, Entity.USER, event.actor, event, age)
        changes = [*self._trending(shares, event, age)] if event.item else []
        self.known.update(known)
        self._recents.setdefault(event.actor, {})[event.recent()] = event.time
        self.flush_soon(ctx)
        if event.item:
            yield event, age, changes

    def finish(self, pipe: Any) -> None:
        for key in self.hashes:
            pipe.expire(key, USER_TTL_S)
        for actor, scores in self._recents.items():
            key = f"{self.prefix}recent:{actor}"
            pipe.zadd(key, scores)
            pipe.zremrangebyrank(key, 0, -RECENTS_KEPT - 1)
            pipe.expire(key, USER_TTL_S)
        self._recents.clear()

    def _trending(
        self, shares: dict[str, int], event: Event, age: int
    ) -> Iterator[tuple[str, int, int]]:
        """(level, tile start, change of the actor's capped share) for each level."""
        for level in self._trends:
            if age <= level.span_ms:
                start = event.time - event.time % level.ms
                share = f"{level.code}{start}:{event.item}"
                before = shares.get(share, 0)
                after = shares[share] = before + event.numbers[3]
                yield level.code, start, _capped(after) - _capped(before)


class FoldItems(Writer):
    """Per item: folds item tiles and trending tiles."""

    def open(self, runtime_context: RuntimeContext) -> None:
        super().open(runtime_context)
        levels = {window.level for window in TRENDING}
        self._lives_s = {level.code: level.slots * level.ms // 1000 for level in levels}
        self._changed: set[str] = set()

    def process_element(self, value: tuple[Event, int, list[Any]], ctx: Any) -> Iterator[Any]:
        event, age, changes = value
        known: tuple[Rings, Trends] = self.known.value() or ({}, {})
        tiles, trends = known
        self.fold(tiles, Entity.ITEM, event.item, event, age)
        for code, start, change in changes:
            applied, weight = trends.get((code, start), (0, 0))
            applied, weight = trends[code, start] = applied + 1, weight + change
            version = Version.of_tile(start, self.settings.epoch, applied)
            key = f"{self.prefix}trend:{code}:{start}"
            self.gather(key, event.item, f"{version.encode()}{weight}")
        self.known.update(known)
        self._changed.add(event.item)
        self.flush_soon(ctx)
        return iter(())

    def finish(self, pipe: Any) -> None:
        trend = f"{self.prefix}trend:"
        for key in self.hashes:
            if key.startswith(trend):
                pipe.expire(key, self._lives_s[key[len(trend)]])
        now = dict.fromkeys(self._changed, time.time_ns() // 1_000_000)
        pipe.zadd(f"{self.prefix}items:changed", now)
        self._changed.clear()


def build(env: StreamExecutionEnvironment, settings: Settings) -> None:
    """Source -> decode -> by actor -> by item; the two keyed steps write."""
    features, pickled = declaration.load(settings.features), Types.PICKLED_BYTE_ARRAY()
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(settings.kafka)
        .set_topics(settings.topic(INTERACTIONS.name))
        .set_group_id(f"{settings.namespace}-pyflink-keyed")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    (
        env.from_source(source, WatermarkStrategy.no_watermarks(), "interactions")
        .process(Decode(settings.horizon_ms), pickled)
        .key_by(lambda value: value[0].actor, Types.STRING())
        .process(FoldUsers(settings, plans(features, Entity.USER)), pickled)
        .key_by(lambda value: value[0].item, Types.STRING())
        .process(FoldItems(settings, plans(features, Entity.ITEM)), pickled)
    )


def main() -> None:
    configuration = Configuration()
    for key, value in TUNING.items():
        configuration.set_string(key, value)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    build(env, Settings())
    # Without a name of its own: it is called what it was submitted as.
    env.execute_async(None)


def _capped(weight: int) -> int:
    return max(-CAP, min(CAP, weight))


if __name__ == "__main__":
    main()
