"""What both hand-written baselines share: the declaration, made ready for a fast Python loop.

A tile is a list: events applied, then one total per feature. Counting and summing are then one
look-up and one addition for each feature that the event's type touches, and a sketch of distinct
actors is a sorted list that rarely changes.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, get_args

import orjson

from feature_store.aggregates import Count, Distinct, Sum
from feature_store.declaration import Declaration, Entity
from feature_store.events import WEIGHTS, InteractionType
from feature_store.tiles import Level, Version

KINDS = get_args(InteractionType)
#: Where an event's numbers stand in `Event.numbers`.
NUMBERS = ("one", "quantity", "amount_minor", "weight")


class Event(NamedTuple):
    """The parts of an interaction that features, recents and trending need."""

    event_id: str
    actor: str
    item: str
    kind: str
    time: int
    price_minor: int
    query: str
    numbers: tuple[int, int, int, int]

    def recent(self) -> str:
        """The event as a store keeps it among an actor's recents."""
        return orjson.dumps(
            [self.event_id, self.time, self.kind, self.item,
             self.numbers[1], self.price_minor, self.query]
        ).decode()  # fmt: skip


def decode(value: bytes) -> Event:
    """One message; raises what Python raises for a bad one. Checks no more."""
    body: dict[str, Any] = orjson.loads(value)
    price, quantity, kind = body.get("price"), body.get("quantity", 1), body["type"]
    minor = math.floor(price * 100 + 0.5) if price else 0
    return Event(
        body["event_id"],
        body.get("user_id") or "anon:" + body["session_id"],
        body.get("item_id") or "",
        kind,
        body["event_time"],
        minor,
        body.get("query") or "",
        (1, quantity, minor * quantity, WEIGHTS[kind]),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What tiles of one entity and level hold, and what each type of event adds where."""

    level: Level
    names: tuple[str, ...]
    additions: dict[str, tuple[tuple[int, int], ...]]
    sketches: dict[str, tuple[tuple[int, int], ...]]

    @classmethod
    def of(cls, features: Declaration, entity: Entity, level: Level) -> Plan:
        """Reads the declaration once; raises ValueError for an aggregate it does not know."""
        mine = features.of(entity, level)
        additions: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
        sketches: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
        for place, feature in enumerate(mine, 1):
            for kind in feature.events:
                match feature.aggregate:
                    case Count():
                        additions[kind].append((place, 0))
                    case Sum(measure):
                        additions[kind].append((place, NUMBERS.index(measure)))
                    case Distinct(_, size):
                        sketches[kind].append((place, size))
                    case unknown:
                        raise ValueError(f"{unknown}: teach it to benchmarks/baselines/folding.py.")
        return cls(
            level,
            tuple(feature.name for feature in mine),
            {kind: tuple(places) for kind, places in additions.items()},
            {kind: tuple(places) for kind, places in sketches.items() if places},
        )

    def tile(self) -> list[Any]:
        """A tile to which nothing was added yet."""
        return [0] * (1 + len(self.names))

    def add(self, tile: list[Any], event: Event) -> None:
        """Adds an event to a tile."""
        tile[0] += 1
        numbers, kind = event.numbers, event.kind
        for place, number in self.additions[kind]:
            tile[place] += numbers[number]
        if kind in self.sketches:
            hashed = actor_hash(event.actor)
            for place, size in self.sketches[kind]:
                tile[place] = _kept(tile[place] or [], hashed, size)

    def spell(self, tile: list[Any], start: int, epoch: int) -> str:
        """A tile as a store keeps it: its version, then its totals without zeros."""
        totals = {name: total for name, total in zip(self.names, tile[1:], strict=True) if total}
        return Version.of_tile(start, epoch, tile[0]).encode() + orjson.dumps(totals).decode()


def plans(features: Declaration, entity: Entity) -> tuple[Plan, ...]:
    """A plan for each level of the entity."""
    return tuple(Plan.of(features, entity, level) for level in features.levels(entity))


@cache
def actor_hash(actor: str) -> int:
    """The hash that tells actors apart, as `Interaction.actor_hash`."""
    digest = hashlib.md5(actor.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _kept(smallest: list[int], hashed: int, size: int) -> list[int]:
    """The `size` smallest hashes, in order, each once."""
    place = bisect_left(smallest, hashed)
    if place < size and (place == len(smallest) or smallest[place] != hashed):
        smallest.insert(place, hashed)
        del smallest[size:]
    return smallest
