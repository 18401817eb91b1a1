"""One item as people see it, and what somebody may want of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter
from pydantic import ValidationError

from feature_store.events import ItemMessage, minor_units
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

    @property
    def offered(self) -> bool:
        """It exists and can be had."""
        return self.available and not self.deleted

    @property
    def price(self) -> float | None:
        """In major units."""
        return None if self.price_minor is None else self.price_minor / 100

    @classmethod
    def told(cls, item_id: str, said: ItemMessage) -> Card:
        """From what was told of an item."""
        return cls(
            item_id=item_id,
            title=said.title or item_id,
            category=tuple(said.category),
            brand=said.brand,
            price_minor=None if said.price is None else minor_units(said.price),
            available=said.available,
            live=True,
        )


def described(item_id: str, record: Mapping[str, Any], damaged: Counter) -> ItemMessage | None:
    """What a store keeps of an item; None, counted, where the contract does not accept it."""
    try:
        return ItemMessage.model_validate(record)
    except ValidationError:
        damaged.labels("item").inc()
        log.warning("damaged item", extra={"fields": {"item": item_id}})
        return None


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
