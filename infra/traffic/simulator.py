"""A seeded simulator of people who browse and buy: what real purchase data lacks, at any scale.

People have accounts or come as anonymous visitors. They come in sessions more than 30 minutes
apart, prefer a few shelves of the catalogue (tastes that drift), choose items by Zipf's law, and
go down the funnel: a click follows a view, a cart follows a click, a purchase follows a cart.
The same plan makes the same bytes. Numbers about recommendation quality on this traffic prove
nothing about people: it is for load, for tests and for the demo.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from feature_store.events import SCHEMA_VERSION, ItemMessage
from infra.traffic import message
from infra.traffic.catalogue import Catalogue, Shelf
from infra.traffic.message import Message

SESSION_GAP_MS = 30 * 60_000
MEAN_THINK_MS = 8_000
LONGEST_THINK_MS = 120_000
MEAN_VISITS = 4
MOST_VISITS = 25
TASTES = 3

# The chance of each step, given the one before it.
SEARCH, FOLLOW_TASTE, DRIFT = 0.15, 0.8, 0.1
CLICK, LIKE, DISLIKE, CART = 0.45, 0.08, 0.02, 0.35
REMOVE, PURCHASE, RATE = 0.15, 0.7, 0.1

_AGE_BANDS = ("19-24", "25-34", "35-44", "45-54", "55-64", "65+")
_SEGMENTS = ("bargain", "family", "premium")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate. `events_per_second` is the mean once the first sessions are under way."""

    catalogue: Catalogue
    user_ids: Sequence[str]
    start_ms: int
    events_per_second: float
    seed: int = 7
    anonymous_share: float = 0.2
    countries: Sequence[str] = ("US", "DE", "FR")


@dataclass(slots=True)
class Person:
    """One visitor: an account, or an anonymous session when `user_id` is None."""

    user_id: str | None
    tastes: list[Shelf]
    device: str
    country: str
    free_at: int = 0

    def drift(self, catalogue: Catalogue, rng: Random) -> None:
        """Now and then one taste gives way to another."""
        if rng.random() < DRIFT:
            self.tastes[rng.randrange(len(self.tastes))] = catalogue.pick_shelf(rng)


def simulate(plan: Plan) -> Iterator[Message]:
    """Endless interactions in the order of their event times, from `plan.start_ms` on."""
    rng = Random(f"sessions {plan.seed}")
    crowd = _Crowd(plan, rng)
    mean_gap_ms = 1000 * _mean_session_length(plan) / plan.events_per_second
    pending: list[tuple[int, int, Message]] = []
    made = 0
    start = float(plan.start_ms)
    while True:
        start += rng.expovariate(1) * mean_gap_ms
        while pending and pending[0][0] <= start:
            yield heapq.heappop(pending)[2]
        for body in crowd.next_session(int(start)):
            # The start is in the id: a later run of the same seed makes other events.
            event = {"event_id": f"sim-{plan.seed}-{plan.start_ms}-{made}", **body}
            heapq.heappush(pending, (body["event_time"], made, message.interaction(event)))
            made += 1


def profiles(plan: Plan) -> Iterator[Message]:
    """A profile for every user, with the tastes they begin with."""
    for user_id in plan.user_ids:
        person = _person(plan, user_id)
        rng = Random(f"profile {plan.seed} {user_id}")
        yield message.profile(
            {
                "user_id": user_id,
                "segment": rng.choice(_SEGMENTS),
                "country": person.country,
                "age_band": rng.choice(_AGE_BANDS),
                "language": "en",
                "preferred_categories": sorted({shelf.name for shelf in person.tastes}),
                "schema_version": SCHEMA_VERSION,
            }
        )


class _Crowd:
    """Everybody who may come next."""

    def __init__(self, plan: Plan, rng: Random) -> None:
        self._plan = plan
        self._rng = rng
        self._people: dict[str, Person] = {}
        self._sessions = 0

    def next_session(self, start: int) -> list[dict[str, Any]]:
        """The events of the session that begins at `start` (ms)."""
        self._sessions += 1
        session_id = f"sim-{self._plan.seed}-{self._plan.start_ms}-s{self._sessions}"
        person = self._somebody_idle(start) or _person(self._plan, None, session_id)
        person.drift(self._plan.catalogue, self._rng)
        events = _Session(person, session_id, start, self._plan.catalogue, self._rng).events()
        person.free_at = events[-1]["event_time"] + SESSION_GAP_MS + 1
        return events

    def _somebody_idle(self, start: int) -> Person | None:
        """An account that may begin a session; None: an anonymous visitor comes instead."""
        ids = self._plan.user_ids
        if not ids or self._rng.random() < self._plan.anonymous_share:
            return None
        for _ in range(8):
            user_id = ids[int(len(ids) * self._rng.random() ** 2)]  # some come more often
            person = self._people.get(user_id)
            if person is None:
                person = self._people[user_id] = _person(self._plan, user_id)
            if person.free_at <= start:
                return person
        return None


class _Session:
    """One visit to the shop, event by event."""

    def __init__(
        self,
        person: Person,
        session_id: str,
        start: int,
        catalogue: Catalogue,
        rng: Random,
    ) -> None:
        self._person = person
        self._catalogue = catalogue
        self._rng = rng
        self._time = start
        self._events: list[dict[str, Any]] = []
        self._actor = {"session_id": session_id}
        if person.user_id is not None:
            self._actor["user_id"] = person.user_id

    def events(self) -> list[dict[str, Any]]:
        """Visits to items, then the checkout; at least one event."""
        cart: list[ItemMessage] = []
        for shelf in self._shelves():
            item = shelf.pick(self._rng)
            if self._visit(item, shelf) and item not in cart:
                cart.append(item)
        for item in cart:
            self._check_out(item)
        return self._events

    def _shelves(self) -> Iterator[Shelf]:
        visits = min(MOST_VISITS, 1 + int(self._rng.expovariate(1 / MEAN_VISITS)))
        for _ in range(visits):
            if self._happens(FOLLOW_TASTE):
                yield self._rng.choice(self._person.tastes)
            else:
                yield self._catalogue.pick_shelf(self._rng)

    def _visit(self, item: ItemMessage, shelf: Shelf) -> bool:
        """Looks at an item; True when it ends up in the cart."""
        page = "home"
        if self._happens(SEARCH):
            page = "search"
            self._add("search", page, query=shelf.name.lower())
        self._add("view", page, item)
        if not self._happens(CLICK):
            return False
        self._add("click", page, item)
        if self._happens(LIKE):
            self._add("like", "item", item)
        elif self._happens(DISLIKE):
            self._add("dislike", "item", item)
            return False
        if not self._happens(CART):
            return False
        self._add("add_to_cart", "item", item, quantity=1 + int(self._rng.expovariate(2)))
        return True

    def _check_out(self, item: ItemMessage) -> None:
        if self._happens(REMOVE):
            self._add("remove", "cart", item)
        elif self._happens(PURCHASE):
            self._add("purchase", "checkout", item, quantity=1 + int(self._rng.expovariate(2)))
            if self._happens(RATE):
                self._add(
                    "rating",
                    "orders",
                    item,
                    value=float(self._rng.choice((3, 4, 4, 5, 5))),
                )

    def _happens(self, chance: float) -> bool:
        return self._rng.random() < chance

    def _add(self, kind: str, page: str, item: ItemMessage | None = None, **more: Any) -> None:
        person = self._person
        context = {"device": person.device, "country": person.country, "page": page}
        body = {
            **self._actor,
            "type": kind,
            "event_time": self._time,
            "context": context,
            **more,
        }
        if item is not None:
            body["item_id"] = item.item_id
            body["price"] = item.price
        self._events.append({**body, "schema_version": SCHEMA_VERSION})
        think = self._rng.expovariate(1 / MEAN_THINK_MS)
        self._time += min(LONGEST_THINK_MS, 500 + int(think))


def _person(plan: Plan, user_id: str | None, session_id: str = "") -> Person:
    """The same person whenever asked for: drawn from the seed and the name alone."""
    rng = Random(f"person {plan.seed} {user_id or session_id}")
    return Person(
        user_id=user_id,
        tastes=[plan.catalogue.pick_shelf(rng) for _ in range(TASTES)],
        device=rng.choice(("mobile", "mobile", "desktop", "tablet")),
        country=rng.choice(plan.countries),
    )


def _mean_session_length(plan: Plan) -> float:
    """Events in a session, from 500 sessions drawn aside."""
    rng = Random(f"length {plan.seed}")
    person = _person(plan, None)
    sample = [len(_Session(person, "", 0, plan.catalogue, rng).events()) for _ in range(500)]
    return sum(sample) / len(sample)
