"""S6: what one event costs, and one user holds, as users and items grow.

    make bench-growth                          # 250,000 events at 1x, 4 million at 16x
    make bench-growth ARGS="--events 50000"

Events per user stay the same. The hot job runs on an empty topic until it is idle, then the log
comes; the cost is the processor time of the task manager with its Python workers, and of Redis,
until all is written. One round at 1x goes before, so that no point pays for a cold JVM alone.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks import flink, sides
from benchmarks.log import make
from benchmarks.stage import Stage, machine, report, say, staged
from benchmarks.written import check, wait_until_written
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAY_MS
from infra.stack.jobs import cancel
from infra.stack.process import members
from infra.stack.streaming import deploy

SCALES: Final = (1, 4, 16)
#: At 1x, as in `bench-ingest`: 20 events a user, 100 an item.
EVENTS_PER_USER, EVENTS_PER_ITEM = 20, 100
SETTLE_S: Final = 20
SPAN_MS: Final = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one size."""

    scale: int
    users: int
    items: int
    events: int
    events_per_s: int
    flink_us_per_event: float
    redis_us_per_event: float
    redis_bytes_per_user: int
    state_bytes_per_user: int

    @property
    def us_per_event(self) -> float:
        """Microseconds of processor time, Flink and Redis together."""
        return self.flink_us_per_event + self.redis_us_per_event


def main() -> None:
    options = _arguments()
    with staged(sides.services(["hot"])) as stage:
        measure(stage, 1, options.events)
        points = [measure(stage, scale, options.events) for scale in SCALES]
    report("growth", {**figures(points), **machine()})


def measure(stage: Stage, scale: int, events: int) -> Point:
    """One size, from an idle job to everything written."""
    events *= scale
    users, items = events // EVENTS_PER_USER, events // EVENTS_PER_ITEM
    now = time.time_ns() // 1_000_000
    log = make(events, users, items, SPAN_MS, now)
    stage.enter(f"growth{scale}_{now:x}")
    stage.clear()
    deploy(stage.stack, "hot")
    flink.running_since(stage.stack, "hot")
    time.sleep(SETTLE_S)
    empty, begun = _redis_bytes(stage), time.time()
    flink_s, redis_s = _processor_s(stage, "flink-taskmanager"), _processor_s(stage, "redis")
    stage.preload(log)
    seconds = wait_until_written(stage, log) - begun
    flink_s = _processor_s(stage, "flink-taskmanager") - flink_s
    redis_s = _processor_s(stage, "redis") - redis_s
    held, state = _redis_bytes(stage) - empty, flink.checkpoint(stage.stack, "hot")
    cancel(stage.stack, "hot")
    check(RedisStore.connect(stage.settings), log)
    point = Point(
        scale=scale,
        users=users,
        items=items,
        events=events,
        events_per_s=round(events / seconds),
        flink_us_per_event=round(flink_s / events * 1e6, 1),
        redis_us_per_event=round(redis_s / events * 1e6, 1),
        redis_bytes_per_user=round(held / users),
        state_bytes_per_user=round(state / users),
    )
    say(f"{scale}x: {point.us_per_event:.1f} µs of processor an event")
    return point


def figures(points: list[Point]) -> dict[str, Any]:
    """What the last line says: the bytes are those of the largest size."""
    first, last = points[0], points[-1]
    return {
        "stream_cost_16x": round(last.us_per_event / first.us_per_event, 2),
        "redis_bytes_per_user": last.redis_bytes_per_user,
        "state_bytes_per_user": last.state_bytes_per_user,
        "flink_us_per_event": last.flink_us_per_event,
        "redis_us_per_event": last.redis_us_per_event,
        "events_per_user": EVENTS_PER_USER,
        "curve": [asdict(point) for point in points],
    }


def _processor_s(stage: Stage, service: str) -> float:
    """Processor time so far of a service and its workers."""
    running = members(stage.stack.home.root, service)
    return sum(sum(process.cpu_times()[:2]) for process in running)


def _redis_bytes(stage: Stage) -> int:
    told: Any = stage.redis.info("memory")
    return int(told["used_memory"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--events", type=int, default=250_000, help="messages at 1x")
    return parser.parse_args()


if __name__ == "__main__":
    main()
