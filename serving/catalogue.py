"""What every item is called and whether it can be had: one card an item, kept in process."""

from __future__ import annotations

import logging
import math
from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any

from pydantic import ValidationError

from feature_store.events import ItemMessage, minor_units
from models.bundle import Bundle
from models.interactions import Ints
from serving.logs import LOGGER

log = logging.getLogger(LOGGER)


@dataclass(frozen=True, slots=True)
class Card:
    """One item as people see it. `live` says that a store told so, not only the bundle."""

    item_id: str
    title: str
    category: tuple[str, ...] = ()
    brand: str | None = None
    price_minor: int | None = None
    available: bool = True
    deleted: bool = False
    live: bool = False
    description: str = ""
    tags: tuple[str, ...] = ()

    @property
    def offered(self) -> bool:
        """It exists and can be had."""
        return self.available and not self.deleted

    @property
    def price(self) -> float | None:
        """In major units."""
        return None if self.price_minor is None else self.price_minor / 100

    @classmethod
    def of(cls, item_id: str, record: Mapping[str, Any]) -> Card | None:
        """From what a store keeps; None, and a warning, where the contract does not accept it."""
        try:
            said = ItemMessage.model_validate(record)
        except ValidationError:
            log.warning("damaged item", extra={"fields": {"item": item_id}})
            return None
        return cls(
            item_id=item_id,
            title=said.title or item_id,
            category=tuple(said.category),
            brand=said.brand,
            price_minor=None if said.price is None else minor_units(said.price),
            available=said.available,
            live=True,
            description=said.description,
            tags=tuple(said.tags),
        )


@dataclass(frozen=True, slots=True)
class Filter:
    """What an item must be. Prices are in major units; an item without one fits no bound."""

    category: str | None = None
    brand: str | None = None
    price_min: float | None = None
    price_max: float | None = None

    def objection(self, card: Card) -> str | None:
        """What the item lacks, in words; None for an item that fits."""
        if self.category is not None and self.category not in card.category:
            return "it is not in the category asked for"
        if self.brand is not None and self.brand != card.brand:
            return "it is not of the brand asked for"
        if self.price_min is None and self.price_max is None:
            return None
        least, most = self.price_min or 0.0, self.price_max
        if card.price is None or card.price < least or (most is not None and card.price > most):
            return "its price is not in the range asked for"
        return None


class Catalogue:
    """Cards by item id: those of a bundle until the stores tell more.

    A bundle's cards are made when they are asked for: a million of them would take seconds at the
    start, and memory for ever. `withdrawn` are the items that cannot be had, so that a request
    needs cards only for what it shows.
    """

    def __init__(self) -> None:
        self._cards: dict[str, Card] = {}
        self.withdrawn: set[str] = set()
        self._bundle: Bundle | None = None
        self._ids: list[str] = []
        self._adding = Lock()

    def __len__(self) -> int:
        return len(self._ids)

    def get(self, item_id: str) -> Card | None:
        """The card of an item, deleted ones included."""
        if card := self._cards.get(item_id):
            return card
        seeded = self._seeded(item_id)
        # A store may have told of the item in between: then its card stays.
        return self._cards.setdefault(item_id, seeded) if seeded else None

    def told(self, item_id: str) -> Card | None:
        """The card of an item that a store has described; makes none."""
        card = self._cards.get(item_id)
        return card if card and card.live else None

    def put(self, card: Card) -> None:
        """Adds or replaces a card."""
        with self._adding:
            new = card.item_id not in self._cards and not self._in_bundle(card.item_id)
            self._cards[card.item_id] = card
            (self.withdrawn.discard if card.offered else self.withdrawn.add)(card.item_id)
            if new:
                insort(self._ids, card.item_id)

    def seed(self, bundle: Bundle) -> None:
        """The bundle speaks for its items that no store has described yet."""
        with self._adding:
            self._bundle = bundle
            self._cards = {item: card for item, card in self._cards.items() if card.live}
            told = (item for item in self._cards if item not in bundle.index_of)
            self._ids = sorted([*bundle.item_ids, *told])

    def _in_bundle(self, item_id: str) -> bool:
        return self._bundle is not None and item_id in self._bundle.index_of

    def _seeded(self, item_id: str) -> Card | None:
        """What the bundle says of an item."""
        bundle = self._bundle
        position = bundle.index_of.get(item_id) if bundle else None
        if bundle is None or position is None:
            return None
        said, columns = bundle.catalogue, bundle.columns
        category, brand = int(columns.category[position]), int(columns.brand[position])
        price = float(columns.price_minor[position])
        return Card(
            item_id=item_id,
            title=said.titles[position] or item_id,
            category=said.categories[category] if category >= 0 else (),
            brand=said.brands[brand] if brand >= 0 else None,
            price_minor=round(price) if math.isfinite(price) else None,
        )

    def search(self, words: str, wanted: Filter, after: str, limit: int) -> list[Card]:
        """The first cards, in order of id from behind `after`, that hold every word and fit.

        Words may occur in the title, the brand or the category.
        """
        return list(islice(self._matching(words.lower().split(), wanted, after), limit))

    def _matching(self, words: list[str], wanted: Filter, after: str) -> Iterator[Card]:
        for item_id in self._ids[bisect_right(self._ids, after) :]:
            card = self._cards.get(item_id) or self._seeded(item_id)
            if card is None or not card.offered or wanted.objection(card):
                continue
            text = " ".join((card.title, card.brand or "", *card.category)).lower()
            if all(word in text for word in words):
                yield card


class Cards(dict[int, Card]):
    """The cards of some items by place, each looked up when it is first asked for."""

    def __init__(self, catalogue: Catalogue, item_ids: Sequence[str], positions: Ints) -> None:
        """`positions` (places,) in `item_ids`."""
        super().__init__()
        self._catalogue = catalogue
        self._item_ids = item_ids
        self._positions = positions

    def __missing__(self, place: int) -> Card:
        item_id = self._item_ids[self._positions[place]]
        self[place] = card = self._catalogue.get(item_id) or Card(item_id, item_id)
        return card
