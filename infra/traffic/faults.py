"""Makes traffic worse on purpose: bad messages and exact copies among the good ones, counted."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import orjson

from infra.traffic.message import Message

FARTHEST_COPY = 1000
YEAR_2100_MS = 4_102_444_800_000


def _with(**fields: Any) -> Callable[[bytes], bytes]:
    return lambda value: orjson.dumps({**orjson.loads(value), **fields})


def _without(*names: str) -> Callable[[bytes], bytes]:
    def spoil(value: bytes) -> bytes:
        body = orjson.loads(value)
        return orjson.dumps({name: body[name] for name in body if name not in names})

    return spoil


#: Every way a good interaction is spoiled; each result is refused by `decode_interaction`.
SPOILERS: dict[str, Callable[[bytes], bytes | None]] = {
    "null value": lambda _: None,
    "empty": lambda _: b"",
    "cut off": lambda value: value[: len(value) // 2],
    "bad UTF-8": lambda value: value.replace(b'"type"', b'"\xff\xfe"'),
    "not an object": lambda _: b"[1,2,3]",
    "NaN": lambda value: value[:-1] + b',"value":NaN}',
    "unknown version": _with(schema_version=99),
    "unknown type": _with(type="teleport"),
    "time as text": _with(event_time="yesterday"),
    "from the future": _with(event_time=YEAR_2100_MS),
    "no quantity": _with(quantity=0),
    "no actor": _without("user_id", "session_id"),
    "no event id": _without("event_id"),
}


class Faults:
    """Adds bad messages and duplicates to a stream of good interactions, and counts all three.

    `bad` and `duplicates` are shares of the good messages; the good ones stay as they were.
    """

    def __init__(self, bad: float = 0.0, duplicates: float = 0.0, seed: int = 7) -> None:
        self.good = 0
        self.bad = 0
        self.duplicates = 0
        self._bad_share = bad
        self._duplicate_share = duplicates
        self._rng = Random(f"faults {seed}")
        self._spoilers = list(SPOILERS.values())

    def among(self, messages: Iterable[Message]) -> Iterator[Message]:
        """The messages, with faults; a copy follows its original within 1000 messages."""
        copies: list[tuple[int, Message]] = []
        for message in messages:
            if self._rng.random() < self._bad_share:
                yield self._spoiled(message)
            self.good += 1
            yield message
            if self._rng.random() < self._duplicate_share:
                heapq.heappush(copies, (self.good + self._rng.randint(0, FARTHEST_COPY), message))
            while copies and copies[0][0] <= self.good:
                yield self._copy(heapq.heappop(copies)[1])
        for _, message in sorted(copies):
            yield self._copy(message)

    def _spoiled(self, message: Message) -> Message:
        self.bad += 1
        return message._replace(value=self._rng.choice(self._spoilers)(message.value or b""))

    def _copy(self, message: Message) -> Message:
        self.duplicates += 1
        return message
