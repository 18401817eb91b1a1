"""Replays The Complete Journey through the three topics, so that it ends now.

Descriptions first (items, profiles), then the purchases in time order. Running it twice sends
the same events again: the stream recognises them as duplicates, as designed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from feature_store.settings import Settings
from infra.stack.topics import ensure_topics
from infra.traffic import journey
from infra.traffic.clock import demo_clock
from infra.traffic.pace import paced
from infra.traffic.producer import Sender


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What Kafka acknowledged, the event times (ms) covered, and how long sending took."""

    interactions: int
    items: int
    profiles: int
    first_event: int
    last_event: int
    seconds: float

    @property
    def messages_per_second(self) -> float:
        """Acknowledged messages a second, descriptions included."""
        return (self.interactions + self.items + self.profiles) / self.seconds


def replay(
    settings: Settings,
    home: Path,
    months: int = journey.DEFAULT_MONTHS,
    rate: float | None = None,
    speed: float | None = None,
    limit: int | None = None,
    full_catalogue: bool = False,
    progress: Progress | None = None,
) -> ReplayReport:
    """Sends the last `months` (at most the newest `limit` purchases) and waits until all arrived.

    `rate` and `speed` pace the purchases, see `pace.paced`. The topics are created where missing.
    """
    show = progress or Progress(disable=True)
    data = journey.load(months, limit)
    ensure_topics(settings)
    shift = demo_clock(home, data.ends_at, now=time.time_ns() // 1_000_000).shift_ms
    started = time.monotonic()
    with Sender(settings) as sender:
        described = list(data.items(full_catalogue))
        items = sender.send_all(show.track(described, description="items"))
        profiles = sender.send_all(show.track(list(data.profiles()), description="profiles"))
        purchases = paced(data.interactions(shift), rate, speed)
        tracked = show.track(purchases, total=data.purchases, description="interactions")
        interactions = sender.send_all(tracked)
    times = data.lines.time
    return ReplayReport(
        interactions=interactions,
        items=items,
        profiles=profiles,
        first_event=int(times[0]) + shift,
        last_event=int(times[-1]) + shift,
        seconds=time.monotonic() - started,
    )
