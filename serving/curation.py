"""What the shop decides by hand: items that come first, that come earlier, that never come."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from feature_store.events import Identifier
from feature_store.stores.base import Document, StoreUnavailable
from feature_store.tiles import Version
from serving.catalogue import Card
from serving.guard import Ladder

NAME: Final = "curation"
#: At most one place in this many is pinned.
PINNED_SHARE: Final = 2

Places = Annotated[int, Field(ge=1, le=100)]


class Curated(BaseModel):
    """The shop's own rules. They yield to what a person refused, and to a request's filters."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    pinned: list[Identifier] = Field(
        [], max_length=20, description="First, in this order, in up to half of a first page."
    )
    boosted: dict[Identifier, Places] = Field(
        {}, max_length=500, description="How many places an item moves up where it is offered."
    )
    blocked: list[Identifier] = Field([], max_length=10_000, description="Never offered.")


class Curation:
    """The rules of this moment, read every second from the stores, which all processes share."""

    def __init__(self, stores: Ladder, blocked: frozenset[str]) -> None:
        """`blocked` are items that the settings block, whatever the stores say."""
        self._stores = stores
        self._always = blocked
        self._version = Version(0, 0, 0)
        self.now = Curated()
        self.blocked = blocked

    @property
    def changed_at(self) -> int:
        """When the rules were last changed (ms); 0 for never."""
        return self._version.moment

    def turn(self) -> None:
        """Adopts the newest rules, and gives them to a store that has lost them."""
        answers, _ = self._stores.ask(lambda store: store.read_document(NAME), lambda _: False)
        if not answers:
            raise StoreUnavailable("no store answers for the shop's rules")
        found = [document for document in answers.values() if document]
        if not found:
            return
        newest = max(found, key=lambda document: document.version)
        if newest.version > self._version:
            self._adopt(newest)
        if any(document != newest for document in answers.values()):
            self._write(newest)

    def replace(self, curated: Curated) -> Sequence[str]:
        """Makes these the rules, everywhere within a second; returns the stores that failed.

        Raises `StoreUnavailable` when no store took them.
        """
        moment = max(time.time_ns() // 1_000_000, self._version.moment + 1)
        document = Document(NAME, Version(moment, 0, 0), curated.model_dump_json())
        took, failed = self._write(document)
        if not took:
            raise StoreUnavailable("no store takes the shop's rules")
        self._adopt(document)
        return failed

    def _write(self, document: Document) -> tuple[Sequence[str], Sequence[str]]:
        answers, failed = self._stores.ask(
            lambda store: store.write_document(document), lambda _: False
        )
        return tuple(answers), failed

    def _adopt(self, document: Document) -> None:
        self.now = Curated.model_validate_json(document.body)
        self.blocked = self._always | frozenset(self.now.blocked)
        self._version = document.version


def boost(order: Sequence[int], cards: Mapping[int, Card], curated: Curated) -> list[int]:
    """The rows in order, those of boosted items so many places further up."""
    if not curated.boosted:
        return list(order)
    places = [
        rank - up - 0.5 if (up := curated.boosted.get(cards[row].item_id)) else rank
        for rank, row in enumerate(order)
    ]
    return [row for _, row in sorted(zip(places, order, strict=True))]
