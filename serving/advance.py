"""Without a bundle: the list that the last night made for this person, then what sells.

The last rungs of the ladder before nothing. Read from whichever store answers; the night keeps
people's lists in Cassandra, and what sells in both stores.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

from feature_store.trending import EVERYWHERE, POPULAR
from serving.card import Card, described
from serving.catalogue import Catalogue
from serving.guard import Ladder
from serving.outcome import Pick, Situation
from serving.reasons import POPULAR as SELLS
from serving.reasons import TASTE
from serving.telemetry import Telemetry

#: What sells is read again after so long: the night alone writes it.
GOOD_FOR_S: Final = 60.0
#: Popular items that are tried.
TRIED: Final = 60


class Advance:
    """Lists made in advance, as picks."""

    def __init__(self, stores: Ladder, catalogue: Catalogue, telemetry: Telemetry) -> None:
        self._stores = stores
        self._damaged = telemetry.damaged
        self._catalogue = catalogue
        self._popular: tuple[str, ...] = ()
        self._read_at = -GOOD_FOR_S
        self._reading = threading.Lock()

    def picks(self, situation: Situation) -> list[Pick]:
        """What the request allows of both lists, each item once, the person's own list first."""
        own, sells = self._own(situation.ask.actor), self._sells()
        self._describe([*own, *sells])
        return [
            *self._picked(situation, own, "advance", TASTE),
            *self._picked(situation, (item for item in sells if item not in own), "popular", SELLS),
        ]

    def _picked(
        self, situation: Situation, ids: Iterable[str], source: str, reason: str
    ) -> Iterator[Pick]:
        for card in map(self._catalogue.get, ids):
            if card and situation.rules.allow(card):
                yield Pick(card, 0.0, (source,), reason)

    def _own(self, actor: str) -> dict[str, float]:
        if not actor:
            return {}
        listed = self._stores.read(
            lambda store: store.read_recommendations(actor), known=lambda one: one is not None
        ).value
        return dict(listed.items) if listed else {}

    def _sells(self) -> tuple[str, ...]:
        """The last list known; one request reads it anew, others go on with the old one."""
        due = time.monotonic() - self._read_at >= GOOD_FOR_S
        if due and self._reading.acquire(blocking=False):
            try:
                found = self._stores.read(
                    lambda store: store.read_trending(POPULAR), known=lambda one: one is not None
                ).value
                if found:
                    listed = found.segments.get(EVERYWHERE, ())[:TRIED]
                    self._popular = tuple(item for item, _ in listed)
                    self._read_at = time.monotonic()
            finally:
                self._reading.release()
        return self._popular

    def _describe(self, ids: Iterable[str]) -> None:
        """Reads the cards that nobody has read yet: without a bundle none are there."""
        unknown = [item for item in ids if self._catalogue.get(item) is None]
        if not unknown:
            return
        records = self._stores.collect(unknown, lambda store, missing: store.read_items(missing))
        for item, record in (records.value or {}).items():
            if not record:
                self._catalogue.put(Card(item, item, deleted=True))
            elif said := described(item, record, self._damaged):
                self._catalogue.put(Card.told(item, said))
