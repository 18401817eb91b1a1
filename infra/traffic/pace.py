"""Pacing: hands messages on when they are due, at a rate or at the tempo of their own times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from infra.traffic.message import Message


def paced(
    messages: Iterable[Message],
    rate: float | None = None,
    speed: float | None = None,
    origin_ms: int | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Message]:
    """Yields each message when it is due.

    `rate`: so many a second. `speed`: the gaps between event times divided by this factor (1 is
    real time), counted from `origin_ms` or the first message. Neither: at full speed.
    """
    if rate is not None and speed is not None:
        raise ValueError("Choose a rate or a speed, not both.")
    if rate is not None:
        due = _by_rate(messages, rate)
    elif speed is not None:
        due = _by_event_time(messages, speed, origin_ms)
    else:
        yield from messages
        return
    started = clock()
    for seconds, message in due:
        wait = seconds - (clock() - started)
        if wait > 0:
            sleep(wait)
        yield message


def _by_rate(messages: Iterable[Message], rate: float) -> Iterator[tuple[float, Message]]:
    for number, message in enumerate(messages):
        yield number / rate, message


def _by_event_time(
    messages: Iterable[Message], speed: float, origin_ms: int | None
) -> Iterator[tuple[float, Message]]:
    for message in messages:
        if origin_ms is None:
            origin_ms = message.event_time
        yield (message.event_time - origin_ms) / 1000 / speed, message
