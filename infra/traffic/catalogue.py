"""What simulated people choose from: shelves of items, popular ones first, by Zipf's law."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

from feature_store.events import SCHEMA_VERSION, InvalidEvent, ItemMessage, decode_item
from infra.traffic import message
from infra.traffic.message import Message

ZIPF_EXPONENT = 1.0

_DEPARTMENTS = {
    "Home": ("Lamps", "Rugs", "Cushions", "Mirrors", "Shelves"),
    "Kitchen": ("Knives", "Pans", "Mugs", "Scales", "Kettles"),
    "Garden": ("Seeds", "Spades", "Planters", "Hoses", "Lanterns"),
    "Sport": ("Running Shoes", "Yoga Mats", "Racquets", "Tents", "Bicycles"),
    "Books": ("Novels", "Cookbooks", "Travel Guides", "Comics", "Poetry"),
    "Electronics": ("Headphones", "Keyboards", "Cameras", "Speakers", "Chargers"),
}
_STYLES = ("Classic", "Compact", "Nordic", "Royal", "Simple", "Sunny", "Urban", "Wild")


@dataclass(frozen=True, slots=True)
class Shelf:
    """The items of one category and their cumulated weights."""

    name: str
    items: list[ItemMessage] = field(default_factory=list)
    cumulated: list[float] = field(default_factory=list)

    def add(self, item: ItemMessage, weight: float) -> None:
        """Puts an item behind those already there."""
        self.items.append(item)
        self.cumulated.append(self.weight + weight)

    @property
    def weight(self) -> float:
        """The popularity of the whole shelf."""
        return self.cumulated[-1] if self.cumulated else 0.0

    def pick(self, rng: Random) -> ItemMessage:
        """An item, the popular ones more often."""
        return self.items[bisect(self.cumulated, rng.random() * self.weight)]


class Catalogue:
    """Items by category; an item's place in `items` is its rank (the most popular first)."""

    def __init__(self, items: Iterable[ItemMessage]) -> None:
        shelves: dict[str, Shelf] = {}
        for rank, item in enumerate(items, start=1):
            name = shelf_name(item)
            shelves.setdefault(name, Shelf(name)).add(item, rank**-ZIPF_EXPONENT)
        if not shelves:
            raise ValueError("A catalogue needs at least one item.")
        self.shelves = list(shelves.values())
        self._cumulated = list(accumulate(shelf.weight for shelf in self.shelves))

    @classmethod
    def of(cls, messages: Iterable[Message]) -> Catalogue:
        """The catalogue that messages of `item-metadata` describe."""
        decoded = (decode_item(described.value or b"") for described in messages)
        return cls(item for item in decoded if not isinstance(item, InvalidEvent))

    def pick_shelf(self, rng: Random) -> Shelf:
        """A shelf, the popular ones more often."""
        return self.shelves[bisect(self._cumulated, rng.random() * self._cumulated[-1])]


def shelf_name(item: ItemMessage) -> str:
    """The level of the category path that tastes are about: the second, where there is one."""
    return item.category[:2][-1] if item.category else "other"


def made_up_items(count: int, seed: int) -> Iterator[Message]:
    """A catalogue of `count` items that nobody sells; the same for the same seed."""
    rng = Random(f"catalogue {seed}")
    for number in range(count):
        department = rng.choice(list(_DEPARTMENTS))
        category = rng.choice(_DEPARTMENTS[department])
        style = rng.choice(_STYLES)
        yield message.item(
            {
                "item_id": f"item-{number:06}",
                "title": f"{style} {category} {number}",
                "description": f"{category} for {department.lower()}, in {style.lower()} style.",
                "category": [department, category],
                "brand": f"brand {rng.randint(1, 50)}",
                "price": round(math.exp(rng.gauss(3, 0.8)), 2),
                "tags": [style.lower()],
                "schema_version": SCHEMA_VERSION,
            }
        )
