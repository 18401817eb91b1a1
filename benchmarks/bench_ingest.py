"""S1: events a second from Kafka into everything the declaration writes, ours beside others.

    make bench-ingest                                     # 2 M events, every side, one round
    make bench-ingest ARGS="--events 200000 --rounds 3 --sides hot,kafka_python"

Time runs from the moment every task of a job runs (for the consumer: from its first message)
until the store holds the end of the log; afterwards every tile is counted. Sides run one after
another, with Redis emptied in between. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from typing import Any, Final

from benchmarks import sides
from benchmarks.log import Log, make
from benchmarks.sides import SAMPLED, SIDES
from benchmarks.stage import Stage, machine, report, say, staged
from feature_store.tiles import DAY_MS, HOUR_MS

#: Event times: the published figure is over seven days; over the last hour, every event also
#: counts in minutes and hours, which costs more.
SHAPES: Final = {"week": 7 * DAY_MS, "live": HOUR_MS}
SAMPLE: Final = 200_000
BASELINES: Final = ("kafka_python", "pyflink_keyed", "flink_ceiling")


def main() -> None:
    options = _arguments()
    chosen = [name for name in SIDES if name in options.sides]
    rates: dict[str, dict[str, list[float]]] = {shape: {} for shape in options.shapes}
    with staged(sides.services(chosen), options.home) as stage:
        for shape, measured in rates.items():
            logs = _preload(stage, shape, chosen, options)
            for number in range(1, options.rounds + 1):
                for name in chosen:
                    namespace, log = logs[name in SAMPLED]
                    rate = _rate(stage, name, namespace, log)
                    say(f"{shape}, round {number}: {name} {rate:,.0f} events/s")
                    measured.setdefault(name, []).append(rate)
    medians = {
        shape: {name: statistics.median(some) for name, some in measured.items()}
        for shape, measured in rates.items()
    }
    report("ingest", {**figures(medians), **_conditions(options)})


def figures(medians: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The published figures from the first shape, and the other shapes beside them."""
    first, *others = medians
    return {
        **_shape(medians[first]),
        **{shape: _shape(medians[shape]) for shape in others},
    }


def _shape(rates: Mapping[str, float]) -> dict[str, Any]:
    """`null` where a side was not asked for."""
    hot, kept = (round(rates[name]) if name in rates else None for name in ("hot", "kept"))
    beside = [name for name in BASELINES if hot and name in rates]
    return {
        "events_per_s": hot,
        "kept_events_per_s": kept,
        "ratio": {name: round(rates["hot"] / rates[name], 2) for name in beside},
        "sides": {name: round(rate) for name, rate in rates.items()},
    }


def _preload(
    stage: Stage, shape: str, chosen: list[str], options: argparse.Namespace
) -> dict[bool, tuple[str, Log]]:
    """The whole log and, where a side asks for it, a sample: each with its namespace."""
    logs = {}
    for sampled in sorted({name in SAMPLED for name in chosen}):
        events = min(options.events, SAMPLE) if sampled else options.events
        now = time.time_ns() // 1_000_000
        log = make(events, options.users, options.items, SHAPES[shape], now)
        # A home that is kept has the topics of earlier runs.
        namespace = f"{shape}{events}_{now:x}"
        stage.enter(namespace)
        stage.preload(log)
        logs[sampled] = (namespace, log)
    return logs


def _rate(stage: Stage, name: str, namespace: str, log: Log) -> float:
    stage.enter(namespace)
    stage.clear()
    return log.messages / SIDES[name](stage, log)


def _conditions(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "events": options.events,
        "users": options.users,
        "items": options.items,
        "rounds": options.rounds,
        **machine(),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--events", type=int, default=2_000_000, help="messages in the log")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=1, help="how often each side runs")
    parser.add_argument("--home", help="keep the stack's files here, not in a temporary place")
    parser.add_argument(
        "--sides", type=_names(SIDES), default=list(SIDES), help=f"of {', '.join(SIDES)}"
    )
    parser.add_argument(
        "--shapes", type=_names(SHAPES), default=["week"], help=f"of {', '.join(SHAPES)}"
    )
    return parser.parse_args()


def _names(known: Mapping[str, object]) -> Any:
    """A type of argument: names of `known`, separated by commas."""

    def names(text: str) -> list[str]:
        listed = text.split(",")
        unknown = set(listed) - known.keys()
        if unknown:
            raise argparse.ArgumentTypeError(f"{sorted(unknown)}: choose from {', '.join(known)}")
        return listed

    return names


if __name__ == "__main__":
    main()
