"""Traffic whose sender writes down, message by message, what Kafka acknowledged."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice, takewhile
from typing import Any

import orjson
from kafka import KafkaProducer

from feature_store.settings import Settings
from feature_store.topics import INTERACTIONS
from infra.traffic.message import Message, interaction
from infra.traffic.pace import paced
from infra.traffic.simulation import made_up_world
from infra.traffic.simulator import Plan, simulate

#: Where in the topic a message is: (partition, offset).
Position = tuple[int, int]
MESSAGE_LIMIT = 4 * 2**20
MAX_UNACKNOWLEDGED = 20_000
USERS, ITEMS = 300, 400
#: Simulated events are spread over the hours before now: all levels of tiles fill.
SPREAD_MS = 2 * 3_600_000


class Witness:
    """A producer (acks=all, idempotent) that knows where each acknowledged message is.

    What a broken broker refuses is counted and nothing more: only acknowledged messages are a
    promise.
    """

    def __init__(self, settings: Settings) -> None:
        self.acknowledged: dict[Position, bytes | None] = {}
        self.refused = 0
        self._sent = 0
        self._topic = settings.topic(INTERACTIONS.name)
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka,
            acks="all",
            enable_idempotence=True,
            compression_type="gzip",
            linger_ms=20,
            batch_size=256 * 1024,
            max_request_size=MESSAGE_LIMIT,
            delivery_timeout_ms=180_000,
            max_block_ms=120_000,
            allow_auto_create_topics=False,
        )

    def send(self, key: bytes | None, value: bytes | None, partition: int | None = None) -> None:
        """Hands one message over; waits while too many are unacknowledged."""
        while self._sent - len(self.acknowledged) - self.refused >= MAX_UNACKNOWLEDGED:
            time.sleep(0.01)
        self._sent += 1
        future = self._producer.send(self._topic, value, key, partition=partition)
        future.add_callback(partial(self._on_ack, value))
        future.add_errback(self._on_failure)

    def send_all(self, messages: Iterable[Message]) -> None:
        """Sends every message and waits for the answers."""
        for message in messages:
            self.send(message.key, message.value)
        self.flush()

    def flush(self) -> None:
        """Waits until Kafka has answered for everything that was sent."""
        self._producer.flush(timeout=240)

    def close(self) -> None:
        """Flushes and leaves."""
        self.flush()
        self._producer.close()

    # Both run on the client's own thread.
    def _on_ack(self, value: bytes | None, where: Any) -> None:
        self.acknowledged[where.partition, where.offset] = value

    def _on_failure(self, _: Exception) -> None:
        self.refused += 1


class Load:
    """A context that sends messages at a steady rate from a thread of its own.

    It sends all of them, or when it is left no more than `at_least`.
    """

    def __init__(
        self,
        witness: Witness,
        messages: Iterable[Message],
        rate: float,
        at_least: float = math.inf,
    ) -> None:
        self._witness = witness
        self._messages = messages
        self._rate = rate
        self._at_least = at_least
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Lets the load end."""
        self._left.set()
        self._thread.join()

    @property
    def under_way(self) -> bool:
        """Whether messages are still being sent."""
        return self._thread.is_alive()

    def _run(self) -> None:
        numbered = enumerate(paced(self._messages, rate=self._rate))
        wanted = takewhile(lambda n: n[0] < self._at_least or not self._left.is_set(), numbered)
        self._witness.send_all(message for _, message in wanted)


def shoppers(events: int, seed: int) -> Iterator[Message]:
    """Simulated people over the two hours before now; every event is another one."""
    world = made_up_world(USERS, ITEMS, seed)
    start = time.time_ns() // 1_000_000 - SPREAD_MS
    # Faster than the mean that is needed: none may come from the future.
    per_second = 1.5 * 1000 * events / SPREAD_MS
    plan = Plan(world.catalogue, world.user_ids, start, per_second, seed, countries=("US",))
    return islice(simulate(plan), events)


def view(actor: str, event_id: str, at: int, item: str = "probe") -> Message:
    """One view, for looking whether it arrives."""
    body = {"event_id": event_id, "user_id": actor, "item_id": item, "type": "view"}
    return interaction({**body, "event_time": at})


def body_of(message: Message) -> dict[str, Any]:
    """The fields of a good message."""
    fields: dict[str, Any] = orjson.loads(message.value or b"{}")
    return fields
