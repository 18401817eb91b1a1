"""The hand-written baselines do our work: their tiles are those of the reference engine."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Any

import pytest

from benchmarks.baselines.folding import Plan
from benchmarks.baselines.kafka_python import Fold
from feature_store import declaration
from feature_store.aggregates import Count
from feature_store.declaration import Declaration, Entity, Feature
from feature_store.reference import Message, fold, ring
from feature_store.settings import Settings
from feature_store.tiles import DAY, DAYS_7, HOUR_MS, MINUTE_MS
from infra.traffic.simulation import made_up_world
from infra.traffic.simulator import Plan as Simulation
from infra.traffic.simulator import simulate

T = 1_773_144_000_000
#: How late messages arrive: for every level in time, and too late for the finer ones.
DELAYS_MS = (0, 500, 2 * MINUTE_MS, 3 * HOUR_MS, 40 * HOUR_MS)


class Recorder:
    """A Redis that remembers the fields of hashes and the members of sorted sets."""

    def __init__(self) -> None:
        self.hashes: dict[str, dict[str, str]] = defaultdict(dict)
        self.sets: dict[str, set[str]] = defaultdict(set)

    def pipeline(self, transaction: bool) -> Recorder:
        return self

    def execute_command(self, command: str, key: str, *pairs: str) -> None:
        assert command == "HSET"
        self.hashes[key].update(zip(pairs[::2], pairs[1::2], strict=True))

    def zadd(self, key: str, scores: dict[str, int]) -> None:
        self.sets[key] |= scores.keys()

    def expire(self, *_: Any) -> None: ...

    def zremrangebyrank(self, *_: Any) -> None: ...

    def execute(self, raise_on_error: bool) -> None: ...


def messages() -> list[Message]:
    """Simulated traffic of every type, every seventh message twice, some of it late."""
    world = made_up_world(users=40, items=30, seed=5)
    plan = Simulation(world.catalogue, world.user_ids, T, 2.0, 5)
    log: list[Message] = []
    for number, told in enumerate(islice(simulate(plan), 3000)):
        arrival = told.event_time + DELAYS_MS[number % len(DELAYS_MS)]
        for _ in range(2 if number % 7 == 0 else 1):
            log.append(Message(0, len(log), arrival, told.value))
    return log


@pytest.fixture(scope="module")
def features() -> Declaration:
    return declaration.load("feature_store.features")


def test_the_consumer_writes_the_tiles_of_the_reference_engine(features: Declaration) -> None:
    settings, written = Settings(namespace="n"), Recorder()
    log = messages()
    consumer: Any = Fold(features, settings)
    for number, message in enumerate(log):
        consumer.add(message.value, message.append_time)
        if number % 100 == 0:
            consumer.flush(written)
    consumer.flush(written)
    expected: dict[str, dict[str, str]] = defaultdict(dict)
    tiles = fold(features, log, settings.horizon_ms).tiles()
    for (entity, key, slot), tile in ring(tiles).items():
        expected[f"n:{entity}:{key}"][slot] = tile.encode()
    entities = {k: v for k, v in written.hashes.items() if not k.startswith("n:trend:")}
    assert entities == expected
    assert len(entities) > 60


def test_the_consumer_counts_what_it_cannot_read(features: Declaration) -> None:
    consumer = Fold(features, Settings())
    for value in (b"", b"not JSON", b"[1]", b"{}", b'{"type":"teleport","event_id":"1"}'):
        consumer.add(value, T)
    assert consumer.bad == 5


def test_an_aggregate_that_the_baselines_do_not_know_is_refused() -> None:
    declared = Declaration((Feature("odd", Entity.USER, ("view",), Count(), (DAYS_7,)),))
    object.__setattr__(declared.features[0], "aggregate", object())
    with pytest.raises(ValueError, match="teach it"):
        Plan.of(declared, Entity.USER, DAY)
