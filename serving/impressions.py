"""What was shown, with the vector used, logged to Kafka without ever delaying an answer.

One message per answer, as `feature_store.events.ImpressionMessage` describes it.
"""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import dataclass
from typing import Final

import orjson

from feature_store.topics import IMPRESSIONS
from feature_store.vectors import Floats
from serving.logs import LOGGER
from serving.publisher import KafkaUnavailable, Outgoing, Publisher
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)

STOP: Final = None
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
            "items": items,
        }
        return orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)


class ImpressionLog:
    """A bounded queue and the one thread that empties it into Kafka."""

    def __init__(self, publisher: Publisher, telemetry: Telemetry, capacity: int) -> None:
        self._publisher = publisher
        self._fates = telemetry.interactions
        self._queue: queue.Queue[Impression | None] = queue.Queue(capacity)
        telemetry.queued.labels("impressions").set_function(self._queue.qsize)
        self._thread = threading.Thread(target=self._run, name="impressions", daemon=True)

    def start(self) -> None:
        """Starts sending."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Sends what is queued, for a little while."""
        try:
            self._queue.put(STOP, timeout=timeout_s)
        except queue.Full:
            log.warning("impressions left behind", extra={"fields": {"count": self._queue.qsize()}})
            return
        self._thread.join(timeout_s)

    def add(self, impression: Impression) -> None:
        """Queues one impression; drops and counts it when the queue is full."""
        try:
            self._queue.put_nowait(impression)
        except queue.Full:
            self._count("dropped")

    def _run(self) -> None:
        while (impression := self._queue.get()) is not STOP:
            try:
                body = impression.encode()
                message = Outgoing(IMPRESSIONS.name, impression.actor.encode(), body)
                self._publisher.hand_over(message)
                self._count("handed_over")
            except KafkaUnavailable:
                self._count("dropped")
            except Exception:  # one impression must not end all later ones
                log.exception("impression dropped")
                self._count("dropped")

    def _count(self, fate: str) -> None:
        self._fates.labels(IMPRESSIONS.name, fate).inc()
