"""S3: recommendations a second, and how late they come, against the stack a tutorial would build.

    make bench-serving
    make bench-serving ARGS="--items 50000 --users 5000 --seconds 10"

A million items, 200,000 users with features in Redis, lists of 20 from more than 100 candidates.
Ours asks for a key, counts quotas and logs impressions to Kafka; its result cache is off, if it
has one. One process each. The rate rises by a quarter until a side no longer keeps up: its knee is
the last rate that it held. Open loop: latency counts from when a request was due. The generator,
Redis and Kafka share the machine with the side. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.open_loop import Load, drive
from benchmarks.served import Side, chosen, same_lists, sides
from benchmarks.stage import machine, report, say

#: A rate is held when so many of its requests are answered well, and none of them waits longer.
HELD: Final = 0.98
WAIT_MS: Final = 1_000.0
STEP: Final = 1.25
LEAST: Final = 0.5
WARM_UP_S: Final = 5.0


def main() -> None:
    options = arguments(__doc__)
    with sides(options) as (ours, naive):
        say(f"the same lists: {same_lists(ours, naive):.0%} of the items")
        measured = {side.name: measure(side, options.seconds) for side in (naive, ours)}
    mine, theirs = measured["ours"], measured["naive"]
    figures = {
        "ratio": {
            "throughput": round(mine["knee_rps"] / theirs["knee_rps"], 2),
            "p99": round(theirs["p99_ms"] / mine["p99_ms"], 2),
        },
        "rps_per_core": mine["rps_per_core"],
        "p99_ms": mine["p99_ms"],
        "rss_mib": mine["rss_mib"],
        "pss_mib": mine["pss_mib"],
        "ready_s": mine["ready_s"],
        "items": options.items,
        "users": options.users,
        **measured,
    }
    report("serving", {**figures, **machine()})


def measure(side: Side, seconds: float) -> dict[str, Any]:
    """The knee, the processor time of an answer near it, and the latency at half of it."""
    requests = side.requests()
    drive(side.port, side.first_rate, WARM_UP_S, requests)
    held = knee(side, seconds, requests)
    half = drive(side.port, max(1.0, held.rate / 2), seconds, requests)
    return {
        "knee_rps": round(held.goodput, 1),
        "rps_per_core": round(side.per_core(held), 1),
        "p50_ms": half.ms(50),
        "p99_ms": half.ms(99),
        **side.memory(),
        "ready_s": side.ready_s,
    }


def knee(side: Side, seconds: float, requests: Iterator[bytes]) -> Load:
    """The last rate that the side held; a first one that it does not hold is halved."""
    load = stretch(side, side.first_rate, seconds, requests)
    while not held(load) and load.rate > LEAST:
        load = stretch(side, load.rate / 2, seconds, requests)
    while held(load):
        best, load = load, stretch(side, load.rate * STEP, seconds, requests)
        if not held(load):
            return best
    return load


def held(load: Load) -> bool:
    """Whether the side kept up."""
    return load.good >= HELD * load.sent and load.ms(99) <= WAIT_MS


def stretch(side: Side, rate: float, seconds: float, requests: Iterator[bytes]) -> Load:
    """One rate for so long, with the server's processor time."""
    begun = side.cpu_s()
    load = drive(side.port, rate, seconds, requests)
    load.cpu_s = side.cpu_s() - begun
    side.rest()  # or the next stretch, of this side or the other, would pay for this one
    say(
        f"{side.name:<6}{rate:8.1f}/s  good {load.goodput:8.1f}/s  p50 {load.ms(50):8.1f}  "
        f"p99 {load.ms(99):8.1f} ms  {side.per_core(load):8.1f} a core  {dict(load.statuses)}"
    )
    return load


def arguments(said: str | None) -> argparse.Namespace:
    """The options that the serving benchmarks share."""
    parser = argparse.ArgumentParser(description=(said or "").split("\n\n")[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each rate is held")
    parser.add_argument("--home", help="keep the stack and the bundle here, to run again sooner")
    return chosen(parser)


if __name__ == "__main__":
    main()
