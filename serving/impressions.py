"""What was shown, with the vector used, logged to Kafka without ever delaying an answer.

One message per answer, as `feature_store.events.ImpressionMessage` describes it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import orjson

from feature_store.topics import IMPRESSIONS
from feature_store.vectors import Floats
from serving.logs import LOGGER
from serving.publisher import KafkaUnavailable, Outgoing, Publisher
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)

#: How often the queue is emptied: to wake a thread for each answer costs more than sending it.
TURN_S: Final = 0.05
#: Lists are not drawn by lot: given what was known, this item had this place.
CERTAIN: Final = 1.0


@dataclass(frozen=True, slots=True)
class Shown:
    """One item of one answer, as ranked; `vector` is (columns,)."""

    item_id: str
    score: float
    sources: tuple[str, ...]
    vector: Floats | None


@dataclass(frozen=True, slots=True)
class Impression:
    """One answer."""

    impression_id: str
    actor: str
    shown_at: int
    bundle: str | None
    mode: str
    degraded: tuple[str, ...]
    columns: str
    items: tuple[Shown, ...]
    made_as: str | None = None
    plain: bool = False

    def encode(self) -> bytes:
        """The message's body; NaN becomes null."""
        items = [
            {
                "item_id": shown.item_id,
                "position": position,
                "propensity": CERTAIN,
                "score": shown.score,
                "sources": shown.sources,
                "vector": shown.vector,
            }
            for position, shown in enumerate(self.items)
        ]
        said = {
            "schema_version": 1,
            "impression_id": self.impression_id,
            "actor": self.actor,
            "shown_at": self.shown_at,
            "bundle": self.bundle,
            "mode": self.mode,
            "degraded": self.degraded,
            "columns": self.columns,
            "made_as": self.made_as,
            "plain": self.plain,
            "items": items,
        }
        return orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)


class ImpressionLog:
    """A bounded queue and the one thread that empties it into Kafka."""

    def __init__(self, publisher: Publisher, telemetry: Telemetry, capacity: int) -> None:
        self._publisher = publisher
        self._dropped = telemetry.interactions.labels(IMPRESSIONS.name, "dropped")
        self._capacity = capacity
        self._queue: deque[Impression] = deque()
        telemetry.watch(telemetry.queued.labels("impressions"), lambda: len(self._queue))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="impressions", daemon=True)

    def start(self) -> None:
        """Starts sending."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Sends what is queued, for a little while."""
        self._stopping.set()
        self._thread.join(timeout_s)
        if left := len(self._queue):
            log.warning("impressions left behind", extra={"fields": {"count": left}})

    def add(self, impression: Impression) -> None:
        """Queues one impression; drops and counts it when the queue is full."""
        if len(self._queue) < self._capacity:
            self._queue.append(impression)
        else:
            self._dropped.inc()

    def _run(self) -> None:
        while not self._stopping.wait(TURN_S):
            self._send_queued()
        self._send_queued()

    def _send_queued(self) -> None:
        while self._queue:
            self._send(self._queue.popleft())

    def _send(self, impression: Impression) -> None:
        try:
            message = Outgoing(IMPRESSIONS.name, impression.actor.encode(), impression.encode())
            self._publisher.hand_over(message)
        except KafkaUnavailable:
            self._dropped.inc()
        except Exception:  # one impression must not end all later ones
            log.exception("impression dropped")
            self._dropped.inc()
