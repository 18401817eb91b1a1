"""The sizing follows its figures: what grows with what, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.capacity import Measured, Workload, full_bytes, size, stored_bytes
from feature_store import declaration
from feature_store.declaration import Declaration, Entity

FEATURES = declaration.load("feature_store.features")
SEEN = Measured(
    events_per_s=50_000,
    kept_events_per_s=25_000,
    flink_us_per_event=20,
    redis_us_per_event=10,
    redis_bytes_per_user=8000,
    events_per_user=20,
    state_bytes_per_event=200,
)
SMALL = Workload(
    users=1e6,
    items=1e5,
    events_per_s=1000,
    horizon_hours=48,
    retention_hours=72,
    message_bytes=250,
)


def test_twice_the_events_need_twice_the_log_and_the_state() -> None:
    once = size(SMALL, SEEN, FEATURES)
    twice = size(replace(SMALL, events_per_s=2000), SEEN, FEATURES)
    assert twice.kafka_bytes == pytest.approx(2 * once.kafka_bytes)
    assert twice.state_bytes == pytest.approx(2 * once.state_bytes)


def test_the_stores_stop_growing_when_every_ring_is_full() -> None:
    busy = replace(SMALL, events_per_s=1e6)
    busier = replace(SMALL, events_per_s=2e6)
    assert stored_bytes(busy, SEEN, FEATURES) == stored_bytes(busier, SEEN, FEATURES)
    quiet = replace(SMALL, events_per_s=10)
    assert stored_bytes(quiet, SEEN, FEATURES) < stored_bytes(busy, SEEN, FEATURES)


def test_a_full_ring_grows_with_what_its_tiles_hold() -> None:
    fewer = Declaration(tuple(f for f in FEATURES.features if f.name != "actors"))
    assert full_bytes(fewer, Entity.ITEM) < full_bytes(FEATURES, Entity.ITEM)
    assert full_bytes(fewer, Entity.USER) == full_bytes(FEATURES, Entity.USER)


def test_a_faster_job_needs_fewer_task_managers_and_partitions() -> None:
    large = replace(SMALL, events_per_s=1e6)
    slow, fast = (
        size(large, replace(SEEN, events_per_s=rate, kept_events_per_s=rate), FEATURES)
        for rate in (20_000, 80_000)
    )
    assert fast.task_managers < slow.task_managers
    assert fast.partitions < slow.partitions


def test_money_is_linear_in_the_prices() -> None:
    sizing = size(SMALL, SEEN, FEATURES)
    assert sizing.money(0.08, 6, 0.16) == pytest.approx(2 * sizing.money(0.04, 3, 0.08))
    assert sizing.money(0, 0, 0) == 0
