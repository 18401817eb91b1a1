"""S2: from a click sent to the first answer that knows it, under steady traffic.

    make bench-freshness                             # 2,000 events a second for ten minutes
    make bench-freshness ARGS="--seconds 60 --rate 500"

The whole stack runs, serving a bundle that a nightly on simulated traffic has made. Once a second
another person clicks through the API and asks for the list until it names the click; nobody else
sends events of that person. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.background import world_of
from benchmarks.stage import Stage, machine, report, say, staged
from infra.drain import drain, end_offsets
from infra.shopper import Shopper
from infra.stack.errors import StackError
from infra.stack.http import call_json, get_status
from infra.stack.spark import NIGHTLY, spark_submit
from infra.stack.streaming import deploy
from infra.traffic.simulation import simulate_past

BACKGROUND: Final = Path(__file__).with_name("background.py")
PAST_EVENTS, PAST_DAYS = 60_000, 21.0
ITEMS: Final = 2000
#: People beside those who click.
CROWD: Final = 5000
#: How long the background runs before the first click: the job warms up with it.
WARM_UP_S: Final = 30
POSITION, LIST = 3, 10
#: The background holds its rate when it reaches this share of it.
HELD: Final = 0.98


def main() -> None:
    options = _arguments()
    users = options.seconds + CROWD
    with staged(()) as stage:
        url = prepare(stage, users)
        load = _background(stage, options, users)
        try:
            time.sleep(WARM_UP_S)
            say(f"{options.seconds} clicks at {options.rate:,} events/s")
            clicked = clicks(url, world_of(users, ITEMS).user_ids[: options.seconds])
            achieved = json.loads(load.communicate(timeout=120)[0])["achieved_eps"]
        finally:
            load.kill()
    say(f"the background sent {achieved:,} events/s")
    report("freshness", {**figures(options.rate, achieved, clicked), **machine()})


def prepare(stage: Stage, users: int) -> str:
    """A past, both jobs, a nightly, and serving with its bundle; returns where serving answers."""
    now = time.time_ns() // 1_000_000
    simulate_past(stage.settings, world_of(users, ITEMS), PAST_EVENTS, PAST_DAYS, now)
    for deployment in ("hot", "kept"):
        deploy(stage.stack, deployment)
    drain(stage.stack, stage.settings, "hot", end_offsets(stage.settings))
    say("the hot job has read the past; the nightly makes a bundle")
    spark_submit(stage.stack, NIGHTLY)
    return _champion(stage)


def clicks(url: str, people: Sequence[str]) -> list[float]:
    """A click a second, on time whatever the ones before it do; milliseconds of each."""

    def click(user: str) -> float:
        shopper = Shopper(url, user)
        return shopper.click(shopper.recommendations(LIST), POSITION).milliseconds

    begun = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        waiting = []
        for number, user in enumerate(people):
            time.sleep(max(0.0, begun + number - time.monotonic()))
            waiting.append(pool.submit(click, user))
        return [one.result() for one in waiting]


def figures(rate: int, achieved: int, clicked: Sequence[float]) -> dict[str, Any]:
    """What the last line says."""
    p50, p95, p99 = (round(float(value)) for value in np.percentile(clicked, (50, 95, 99)))
    return {
        "background_eps": rate,
        "achieved_eps": achieved,
        "held": achieved >= HELD * rate,
        "clicks": len(clicked),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": round(max(clicked)),
        "p95_ms_by_minute": [
            round(float(np.percentile(clicked[begun : begun + 60], 95)))
            for begun in range(0, len(clicked), 60)
        ],
    }


def _champion(stage: Stage) -> str:
    """Waits until serving answers with the bundle of the nightly."""
    url = stage.stack.environment()["MILLRACE_SERVING"]
    wanted = json.loads((stage.stack.home.lake / "nightly.json").read_text())["champion_bundle"]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        ready = get_status(f"{url}/health/ready", timeout_s=5) == 200
        if ready and call_json(f"{url}/health/ready").get("bundle") == wanted:
            return url
        time.sleep(0.5)
    raise StackError(f"Serving did not load bundle {wanted}: see `millrace logs serving`.")


def _background(stage: Stage, options: argparse.Namespace, users: int) -> subprocess.Popen[str]:
    told = {
        "rate": options.rate,
        "seconds": options.seconds + WARM_UP_S,
        "users": users,
        "items": ITEMS,
        "spare": options.seconds,
    }
    arguments = [word for name, value in told.items() for word in (f"--{name}", str(value))]
    return subprocess.Popen(
        [sys.executable, str(BACKGROUND), *arguments],
        env=stage.stack.children_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rate", type=int, default=2000, help="events a second beside the clicks")
    parser.add_argument("--seconds", type=int, default=600, help="how long; one click each second")
    return parser.parse_args()


if __name__ == "__main__":
    main()
