"""Sessions, from a person's last interactions: where one ends, what the current one is about."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from feature_store.stores.base import Recent

#: A pause longer than this ends a session.
SESSION_GAP_MS: Final = 30 * 60_000
#: How many of the newest interactions of a session tell its intent.
TELLING: Final = 10


class Intent(IntEnum):
    """What somebody seems to be here for; the ranker reads the number."""

    AWAY = 0
    BROWSING = 1
    SEARCHING = 2
    BUYING = 3


def session(recents: Sequence[Recent], now: int) -> Sequence[Recent]:
    """The newest interactions with no pause above `SESSION_GAP_MS` between them and `now`."""
    previous = now
    for position, recent in enumerate(recents):
        if previous - recent.event_time > SESSION_GAP_MS:
            return recents[:position]
        previous = recent.event_time
    return recents


def intent(current: Sequence[Recent]) -> Intent:
    """The intent of a session, by the most decided thing among its newest interactions."""
    types = {recent.type for recent in current[:TELLING]}
    if types & {"add_to_cart", "purchase"}:
        return Intent.BUYING
    if "search" in types:
        return Intent.SEARCHING
    return Intent.BROWSING if types else Intent.AWAY


def visits(recents: Sequence[Recent]) -> list[int]:
    """The number of the visit that each interaction is part of, the newest visit being 0."""
    numbers: list[int] = []
    for position, recent in enumerate(recents):
        pause = recents[position - 1].event_time - recent.event_time if position else 0
        numbers.append((numbers[-1] if numbers else 0) + (pause > SESSION_GAP_MS))
    return numbers
