"""Two and four times the load that serving can take: what gets through, how the rest is refused.

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

FACTORS: Final = (2, 4)
#: An answer that comes later than this is good for nobody.
USEFUL_S: Final = 1.0


def main() -> None:
    options = arguments(__doc__)
    with ours_alone(options) as ours:
        requests = ours.requests()
        drive(ours.port, ours.first_rate, WARM_UP_S, requests)
        held = knee(ours, options.seconds, requests)
        loads = [drive(ours.port, f * held.rate, options.seconds, requests) for f in FACTORS]
        after = drive(ours.port, held.rate / 2, options.seconds, requests)
    useful = [sum(late <= USEFUL_S for late in one.latencies) / one.seconds for one in loads]
    for one, good in zip(loads, useful, strict=True):
        say(f"at {one.rate:.0f}/s: {dict(one.statuses)}, {good:.0f} useful answers a second")
    load = loads[-1]
    figures = {
        **{
            f"goodput_{factor}x": round(good / held.goodput, 3)
            for factor, good in zip(FACTORS, useful, strict=True)
        },
        "errors_5xx": sum(one.failed for one in loads),
        "knee_rps": round(held.goodput, 1),
        "statuses": {str(status): count for status, count in load.statuses.items()},
        "p99_ms": load.ms(99),
        "after": {"p99_ms": after.ms(99), "good": round(after.good / after.sent, 4)},
        "items": options.items,
    }
    report("overload", {**figures, **machine()})


if __name__ == "__main__":
    main()
