"""Runs the simulator against Kafka: a finished past that ends now, or live at a rate."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

from rich.progress import Progress

from feature_store.settings import Settings
from infra.stack.errors import StackError
from infra.stack.topics import ensure_topics
from infra.traffic import journey
from infra.traffic.catalogue import Catalogue, made_up_items
from infra.traffic.faults import Faults
from infra.traffic.message import Message
from infra.traffic.pace import paced
from infra.traffic.producer import Sender
from infra.traffic.simulator import Plan, profiles, simulate

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class World:
    """Who and what a simulation is about; `descriptions` are sent before its events."""

    catalogue: Catalogue
    user_ids: list[str]
    countries: tuple[str, ...]
    descriptions: list[Message]


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What Kafka acknowledged: interactions = good + bad + duplicates; and the seconds taken."""

    interactions: int
    good: int
    bad: int
    duplicates: int
    descriptions: int
    seconds: float


def made_up_world(users: int, items: int, seed: int) -> World:
    """Invented people and items, which Kafka has to be told about first."""
    described = list(made_up_items(items, seed))
    catalogue = Catalogue.of(described)
    user_ids = [f"user-{number:06}" for number in range(users)]
    countries = ("US", "DE", "FR")
    plan = Plan(catalogue, user_ids, 0, 1.0, seed, countries=countries)
    return World(catalogue, user_ids, countries, [*described, *profiles(plan)])


def journey_world(months: int = journey.DEFAULT_MONTHS) -> World:
    """The items and households of the replayed data, which `replay` describes."""
    data = journey.load(months)
    return World(Catalogue.of(data.items()), data.households(), (journey.COUNTRY,), [])


def simulate_past(
    settings: Settings,
    world: World,
    events: int,
    days: float,
    end_ms: int,
    seed: int = 7,
    faults: Faults | None = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Sends, at full speed, about `events` good events spread over the `days` before `end_ms`."""
    start_ms = end_ms - int(days * DAY_MS)
    per_second = events / days / DAY_MS * 1000
    plan = _plan(world, start_ms, per_second, seed)
    messages = takewhile(lambda message: message.event_time <= end_ms, simulate(plan))
    return _send(settings, world, messages, faults or Faults(seed=seed), events, progress)


def simulate_live(
    settings: Settings,
    world: World,
    rate: float,
    events: int | None = None,
    seed: int = 7,
    faults: Faults | None = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Sends events as they happen, about `rate` a second after the first minute.

    Ends after `events` good ones, or on Ctrl-C: then too, all that was sent is acknowledged.
    """
    plan = _plan(world, time.time_ns() // 1_000_000, rate, seed)
    due = paced(islice(simulate(plan), events), speed=1.0, origin_ms=plan.start_ms)
    return _send(settings, world, due, faults or Faults(seed=seed), events, progress)


def _plan(world: World, start_ms: int, events_per_second: float, seed: int) -> Plan:
    if events_per_second <= 0:
        raise StackError("A simulation needs a rate, a number of events and days above zero.")
    return Plan(
        world.catalogue,
        world.user_ids,
        start_ms,
        events_per_second,
        seed,
        countries=world.countries,
    )


def _send(
    settings: Settings,
    world: World,
    messages: Iterable[Message],
    faults: Faults,
    total: int | None,
    progress: Progress | None,
) -> SimulationReport:
    show = progress or Progress(disable=True)
    ensure_topics(settings)
    started = time.monotonic()
    with Sender(settings) as sender:
        descriptions = sender.send_all(show.track(world.descriptions, description="descriptions"))
        tracked = show.track(messages, total=total, description="interactions")
        interactions = sender.send_all(_until_interrupted(faults.among(tracked)))
    return SimulationReport(
        interactions=interactions,
        good=faults.good,
        bad=faults.bad,
        duplicates=faults.duplicates,
        descriptions=descriptions,
        seconds=time.monotonic() - started,
    )


def _until_interrupted(messages: Iterator[Message]) -> Iterator[Message]:
    try:
        yield from messages
    except KeyboardInterrupt:
        return
