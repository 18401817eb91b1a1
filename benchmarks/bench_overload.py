"""Four times the load that serving can take: what still gets through, and how the rest is refused.

    make bench-overload
    make bench-overload ARGS="--items 50000 --users 5000 --seconds 10"

The knee is found as in `bench-serving`. Goodput is good answers a second within a second of when
they were due, as a share of that at the knee; errors are 5xx that do not say when to come again,
and requests without an answer. The last line is one JSON object.
"""

from __future__ import annotations

from typing import Final

from benchmarks.bench_serving import WARM_UP_S, arguments, knee
from benchmarks.open_loop import drive
from benchmarks.served import ours_alone
from benchmarks.stage import machine, report, say

FACTOR: Final = 4
#: An answer that comes later than this is good for nobody.
USEFUL_S: Final = 1.0


def main() -> None:
    options = arguments(__doc__)
    with ours_alone(options) as ours:
        requests = ours.requests()
        drive(ours.port, ours.first_rate, WARM_UP_S, requests)
        held = knee(ours, options.seconds, requests)
        load = drive(ours.port, FACTOR * held.rate, options.seconds, requests)
        after = drive(ours.port, held.rate / 2, options.seconds, requests)
    useful = sum(latency <= USEFUL_S for latency in load.latencies) / load.seconds
    say(f"at {load.rate:.0f}/s: {dict(load.statuses)}, {useful:.0f} useful answers a second")
    figures = {
        "goodput_4x": round(useful / held.goodput, 3),
        "errors_5xx": load.failed,
        "knee_rps": round(held.goodput, 1),
        "statuses": {str(status): count for status, count in load.statuses.items()},
        "p99_ms": load.ms(99),
        "after": {"p99_ms": after.ms(99), "good": round(after.good / after.sent, 4)},
        "items": options.items,
    }
    report("overload", {**figures, **machine()})


if __name__ == "__main__":
    main()
