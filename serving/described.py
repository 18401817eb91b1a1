"""What a bundle says of its items, with what the stores add to it: their word and the price.

A card for each of a million items would take 550 MiB; four bytes for each take 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from threading import Lock
from typing import Final

import numpy as np

from feature_store.lookup import Doubles
from models.bundle import Bundle
from serving.card import Card
from serving.search import Titles

#: In place of a price (minor units): no store has spoken; one has, and named no price.
NOT_TOLD: Final = -2
NO_PRICE: Final = -1
#: Cards that are kept once they are made: what people look at, some ten MiB.
MADE: Final = 20_000


class Described:
    """A bundle's items as cards, made when they are asked for."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._told = np.full(len(bundle.item_ids), NOT_TOLD, np.int32)
        self._made: dict[str, Card] = {}
        self._changing = Lock()

    @cached_property
    def titles(self) -> Titles:
        """What a search reads; made when it is first asked for."""
        return Titles(self.bundle)

    def card(self, item_id: str) -> Card | None:
        """What is known of an item; None for one that the bundle does not know."""
        if made := self._made.get(item_id):
            return made
        position = self.bundle.index_of.get(item_id)
        if position is None:
            return None
        with self._changing:
            if len(self._made) >= MADE:
                self._made.clear()
            self._made[item_id] = card = self._card(position)
        return card

    def is_told(self, item_id: str) -> bool:
        """Whether a store has told of an item; asked of every item, so it makes no card."""
        position = self.bundle.index_of.get(item_id)
        return position is not None and self._told[position] != NOT_TOLD

    def takes(self, card: Card) -> bool:
        """Notes what a store told, if it is what the bundle says but for the price."""
        position = self.bundle.index_of.get(card.item_id)
        said = (card.title, card.category, card.brand)
        if position is None or not card.offered or said != self._said(position):
            return False
        price = NO_PRICE if card.price_minor is None else card.price_minor
        if self._told[position] != price:
            with self._changing:
                self._told[position] = price
                self._made.pop(card.item_id, None)
        return True

    def succeeds(self, before: Described) -> Iterator[Card]:
        """Takes over what stores have told; yields the cards of what is not said here."""
        for position in np.flatnonzero(before._told != NOT_TOLD).tolist():
            here = self.bundle.index_of.get(before.bundle.item_ids[position])
            if here is not None and self._said(here) == before._said(position):
                self._told[here] = before._told[position]
            else:
                yield before._card(position)

    def prices(self) -> Doubles:
        """Minor units by position; NaN for none."""
        listed = np.where(self._told == NO_PRICE, np.nan, self._told)
        return np.where(self._told == NOT_TOLD, np.rint(self.bundle.columns.price_minor), listed)

    def _card(self, position: int) -> Card:
        title, category, brand = self._said(position)
        told = int(self._told[position])
        if told == NOT_TOLD:
            cut = float(self.bundle.columns.price_minor[position])
            price = round(cut) if math.isfinite(cut) else None
        else:
            price = None if told == NO_PRICE else told
        return Card(
            self.bundle.item_ids[position], title, category, brand, price, live=told != NOT_TOLD
        )

    def _said(self, position: int) -> tuple[str, tuple[str, ...], str | None]:
        said, columns = self.bundle.catalogue, self.bundle.columns
        category, brand = columns.category[position], columns.brand[position]
        return (
            said.titles[position] or self.bundle.item_ids[position],
            said.categories[category] if category >= 0 else (),
            said.brands[brand] if brand >= 0 else None,
        )
