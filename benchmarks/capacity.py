"""What a large deployment needs, worked out from the newest figures of the benchmarks.

    .venv/bin/python benchmarks/capacity.py
    .venv/bin/python benchmarks/capacity.py --users 1e6 --events-per-s 20000 --per-core-hour 0.03

Reads what `make bench-ingest` and `make bench-growth` left in `.millrace/bench`. The formulas and
what they assume are explained in `docs/capacity.md`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.stage import RESULTS
from feature_store import declaration
from feature_store.aggregates import Distinct
from feature_store.declaration import Declaration, Entity, Feature
from feature_store.settings import Settings
from feature_store.stores.base import RECENTS_KEPT
from feature_store.tiles import VERSION_WIDTH
from feature_store.topics import INTERACTIONS

#: What a core is loaded with on average, so that a peak and a dead node fit.
LOAD: Final = 0.6
SLOTS_PER_TASK_MANAGER: Final = 8
#: The mini-batch of the kept job: a row is written at most so often.
KEPT_EVERY_S: Final = 30
COPIES: Final = 3
HOURS_A_MONTH: Final = 730
GB: Final = 1e9
WEEK_S: Final = 7 * 86_400
#: What Redis keeps beside a field of a hash and its value, and an interaction among the recents.
FIELD_BYTES, RECENT_BYTES = 80, 200
DIGITS: Final = 6
HASH_DIGITS: Final = 19
#: One node of each kind. Cassandra's writes a second are an assumption, not a measurement.
REDIS_NODE_BYTES, CASSANDRA_NODE_BYTES, CASSANDRA_NODE_WRITES = 64 * GB, 1000 * GB, 10_000
BROKER_BYTES_PER_S: Final = 250e6


@dataclass(frozen=True, slots=True)
class Workload:
    """What is asked for."""

    users: float
    items: float
    events_per_s: float
    horizon_hours: float
    retention_hours: float
    message_bytes: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What the benchmarks said, for one slot of the hot job and for one user."""

    events_per_s: float
    kept_events_per_s: float
    flink_us_per_event: float
    redis_us_per_event: float
    redis_bytes_per_user: float
    events_per_user: float
    state_bytes_per_event: float

    @classmethod
    def load(cls) -> Measured:
        """From `.millrace/bench`; exits with what to run when a figure is missing."""
        ingest, growth = (_newest(name) for name in ("ingest", "growth"))
        return cls(
            events_per_s=_figure(ingest, "events_per_s"),
            kept_events_per_s=_figure(ingest, "kept_events_per_s"),
            flink_us_per_event=_figure(growth, "flink_us_per_event"),
            redis_us_per_event=_figure(growth, "redis_us_per_event"),
            redis_bytes_per_user=_figure(growth, "redis_bytes_per_user"),
            events_per_user=_figure(growth, "events_per_user"),
            state_bytes_per_event=_figure(growth, "state_bytes_per_user")
            / _figure(growth, "events_per_user"),
        )


@dataclass(frozen=True, slots=True)
class Sizing:
    """What it takes."""

    partitions: int
    task_managers: int
    stream_cores: int
    state_bytes: float
    redis_nodes: int
    redis_bytes: float
    cassandra_nodes: int
    cassandra_bytes: float
    brokers: int
    kafka_bytes: float
    network_bytes_per_s: float

    def money(self, per_core_hour: float, per_gb_memory: float, per_gb_disk: float) -> float:
        """A month's cost: prices of an hour of a core, and of a GB of memory or disk a month."""
        # A broker and a Cassandra node have 8 cores, a shard of Redis has 1.
        cores = self.stream_cores + self.redis_nodes + 8 * (self.cassandra_nodes + self.brokers)
        disk = 2 * self.state_bytes + self.cassandra_bytes + self.kafka_bytes
        return (
            cores * HOURS_A_MONTH * per_core_hour
            + self.redis_bytes / GB * per_gb_memory
            + disk / GB * per_gb_disk
        )


def full_bytes(features: Declaration, entity: Entity) -> float:
    """The most that Redis ever holds of one entity: every slot of its rings, every recent."""
    tiles = sum(
        level.slots * (FIELD_BYTES + VERSION_WIDTH + sum(map(_spelled, features.of(entity, level))))
        for level in features.levels(entity)
    )
    return tiles + (RECENTS_KEPT * RECENT_BYTES if entity is Entity.USER else 0)


def stored_bytes(work: Workload, seen: Measured, features: Declaration) -> float:
    """What Redis holds: as measured for each event of a week, until the rings are full."""
    weekly = work.events_per_s * WEEK_S / work.users
    growing = work.users * seen.redis_bytes_per_user * weekly / seen.events_per_user
    full = work.users * full_bytes(features, Entity.USER)
    return min(growing, full + work.items * full_bytes(features, Entity.ITEM))


def size(work: Workload, seen: Measured, features: Declaration) -> Sizing:
    """The formulas of `docs/capacity.md`."""
    rate = work.events_per_s
    hot_cores = rate * seen.flink_us_per_event / 1e6 / LOAD
    # A slot of each job keeps up with what one slot was measured to take.
    slots = _up(rate / seen.events_per_s / LOAD) + _up(rate / seen.kept_events_per_s / LOAD)
    held = stored_bytes(work, seen, features)
    redis_bytes = 2 * held / LOAD
    redis_cores = 2 * rate * seen.redis_us_per_event / 1e6 / LOAD
    # Twice the ring, three copies, halved by compression.
    cassandra_bytes = COPIES * held
    active = min(work.users, rate * KEPT_EVERY_S) + min(work.items, rate * KEPT_EVERY_S)
    writes = COPIES * active / KEPT_EVERY_S
    # In, to two copies, and out to hot, kept and the lake.
    network = rate * work.message_bytes * (1 + (COPIES - 1) + 3)
    return Sizing(
        partitions=_up(rate / seen.events_per_s / LOAD) * 2,
        task_managers=_up(slots / SLOTS_PER_TASK_MANAGER),
        stream_cores=_up(max(hot_cores * (1 + seen.events_per_s / seen.kept_events_per_s), slots)),
        state_bytes=2 * rate * work.horizon_hours * 3600 * seen.state_bytes_per_event,
        redis_nodes=_up(max(redis_bytes / REDIS_NODE_BYTES, redis_cores)),
        redis_bytes=redis_bytes,
        cassandra_nodes=_up(
            max(cassandra_bytes / CASSANDRA_NODE_BYTES, writes / CASSANDRA_NODE_WRITES / LOAD)
        ),
        cassandra_bytes=cassandra_bytes,
        brokers=_up(network / BROKER_BYTES_PER_S / LOAD),
        kafka_bytes=COPIES * rate * work.message_bytes * work.retention_hours * 3600,
        network_bytes_per_s=network,
    )


def show(sizing: Sizing, month: float) -> None:
    """Prints the table of `docs/capacity.md`."""
    print("| what | how many |\n|---|---|")
    for what, many in (
        (f"partitions of `{INTERACTIONS.name}`", f"{sizing.partitions:,}"),
        ("task managers", f"{sizing.task_managers:,} of {SLOTS_PER_TASK_MANAGER} slots"),
        ("cores of both jobs", f"{sizing.stream_cores:,}"),
        ("Flink state, both jobs", _bytes(sizing.state_bytes)),
        ("Redis shards", f"{sizing.redis_nodes:,}, {_bytes(sizing.redis_bytes)} with replicas"),
        ("Cassandra", f"{sizing.cassandra_nodes:,} nodes, {_bytes(sizing.cassandra_bytes)}"),
        ("Kafka", f"{sizing.brokers:,} brokers, {_bytes(sizing.kafka_bytes)}"),
        ("network through Kafka", _bytes(sizing.network_bytes_per_s) + "/s"),
        ("money a month, at the prices given", f"{month:,.0f}"),
    ):
        print(f"| {what} | {many} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name, default, what in (
        ("users", 10e6, "users with features"),
        ("items", 1e6, "items"),
        ("events-per-s", 1e6, "interactions a second, at the peak"),
        ("horizon-hours", 48, "H"),
        ("retention-hours", 72, "how long Kafka keeps the log"),
        ("message-bytes", 260, "size of an interaction, as in bench-ingest"),
        ("per-core-hour", 0.04, "price"),
        ("per-gb-memory", 3.0, "price of a GB of memory for a month"),
        ("per-gb-disk", 0.08, "price of a GB of disk for a month"),
    ):
        parser.add_argument(f"--{name}", type=float, default=default, help=f"{what} ({default:g})")
    told = vars(parser.parse_args())
    prices = [told.pop(name) for name in ("per_core_hour", "per_gb_memory", "per_gb_disk")]
    sizing = size(Workload(**told), Measured.load(), declaration.load(Settings().features))
    show(sizing, sizing.money(*prices))


def _newest(name: str) -> dict[str, Any]:
    try:
        figures: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    except FileNotFoundError:
        sys.exit(f"There are no figures yet: type `make bench-{name}` first.")
    return figures


def _figure(figures: dict[str, Any], name: str) -> float:
    if not figures.get(name):
        sys.exit(f"The newest {figures['bench']} says no {name}: run it with every side.")
    return float(figures[name])


def _spelled(feature: Feature) -> int:
    """Characters of a feature in a tile's body: name, total, punctuation."""
    match feature.aggregate:
        case Distinct(_, size):
            return len(feature.name) + 6 + size * (HASH_DIGITS + 1)
    return len(feature.name) + 4 + DIGITS


def _up(number: float) -> int:
    return math.ceil(number)


def _bytes(number: float) -> str:
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    place = min(len(units) - 1, max(0, int(math.log10(max(1.0, number)) // 3)))
    return f"{number / 1000**place:.3g} {units[place]}"


if __name__ == "__main__":
    main()
