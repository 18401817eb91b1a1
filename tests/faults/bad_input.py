"""Traffic as bad as it comes: poisoned, repeated, shuffled, late, from wrong clocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple

import orjson

from feature_store.tiles import DAY_MS, HOUR_MS
from infra.traffic.faults import SPOILERS
from infra.traffic.message import Message
from tests.faults.load import body_of

YEAR_MS = 365 * DAY_MS
TWO_MB = 2 * 2**20
DEEP = 100_000
#: How far shuffled messages may be from where they were.
BLOCK = 1_000


class Bytes(NamedTuple):
    """A key and a value as they go to Kafka."""

    key: bytes | None
    value: bytes | None


#: What the simulator's spoilers lack. Every result is refused by the contract.
POISONS = {
    **SPOILERS,
    "two megabytes": lambda _: b'{"event_id":"' + b"x" * TWO_MB + b'"}',
    "deep nesting": lambda value: value[:-1] + b',"deep":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "list as id": lambda _: b'{"event_id":["a"],"type":"view"}',
    "infinity": lambda value: value[:-1] + b',"price":1e999}',
    "minus infinity": lambda value: value[:-1] + b',"value":-Infinity}',
    "lone surrogate": lambda value: value[:-1] + b',"query":"\\ud800"}',
    "control characters": lambda _: b'{"event_id":"a\\u0000b","user_id":"u","type":"view"}',
    "only zeros": lambda _: b"\x00" * 64,
}


def poisoned(messages: Iterable[Message], share: float, seed: int) -> Iterator[Bytes]:
    """The messages, and beside that share of them a bad one; some good ones without a key."""
    rng = Random(f"poison {seed}")
    kinds = list(POISONS.values())
    bad = 0
    for message in messages:
        yield Bytes(None if rng.random() < share else message.key, message.value)
        if rng.random() < share:
            yield Bytes(message.key, kinds[bad % len(kinds)](message.value or b""))
            bad += 1


def disordered(messages: Iterable[Message], now: int, horizon_ms: int, seed: int) -> list[Message]:
    """20 % twice, 30 % shuffled, 2 % late; some a year ahead or at epoch 0, among the others."""
    rng = Random(f"disorder {seed}")
    sent: list[tuple[float, Message]] = []
    for place, message in enumerate(messages):
        moved = rng.uniform(-BLOCK, BLOCK) if rng.random() < 0.3 else 0.0
        sent.append((place + moved, _with_a_clock(message, now, horizon_ms, rng)))
        if rng.random() < 0.2:
            sent.append((place + rng.uniform(0, BLOCK), sent[-1][1]))
    return [message for _, message in sorted(sent, key=lambda one: one[0])]


def _with_a_clock(message: Message, now: int, horizon_ms: int, rng: Random) -> Message:
    chance = rng.random()
    if chance < 0.02:
        return _at(message, now - horizon_ms - HOUR_MS)
    if chance < 0.025:
        return _at(message, now + YEAR_MS)
    if chance < 0.03:
        return _at(message, 0)
    return message


def _at(message: Message, event_time: int) -> Message:
    body = {**body_of(message), "event_time": event_time}
    return message._replace(value=orjson.dumps(body), event_time=event_time)
