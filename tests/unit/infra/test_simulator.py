"""Simulated people: the same seed is the same bytes, sessions keep apart, funnels hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import orjson
import pytest

from feature_store.events import (
    Interaction,
    InvalidEvent,
    ItemMessage,
    ProfileMessage,
    decode_interaction,
    decode_item,
    decode_profile,
)
from infra.traffic.catalogue import Catalogue, made_up_items
from infra.traffic.faults import SPOILERS, Faults
from infra.traffic.message import Message
from infra.traffic.simulator import SESSION_GAP_MS, Plan, profiles, simulate

START = 1_795_000_000_000
USERS = [f"user-{number}" for number in range(40)]
PLAN = Plan(Catalogue.of(made_up_items(300, seed=1)), USERS, START, events_per_second=0.2)

#: What must have happened to the same item in the same session before each step.
BEFORE = {
    "click": "view", "like": "click", "dislike": "click", "add_to_cart": "click",
    "remove": "add_to_cart", "purchase": "add_to_cart", "rating": "purchase",
}  # fmt: skip


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return list(islice(simulate(PLAN), 8000))


@pytest.fixture(scope="module")
def events(messages: list[Message]) -> list[dict[str, Any]]:
    return [orjson.loads(message.value or b"") for message in messages]


def test_every_event_decodes_and_is_keyed_by_its_actor(messages: list[Message]) -> None:
    for message in messages:
        event = decode_interaction(message.value, message.event_time)
        assert isinstance(event, Interaction), event
        assert (event.actor.encode(), event.event_time) == (message.key, message.event_time)
        assert event.unknown_fields == 0


def test_made_up_items_and_profiles_decode() -> None:
    items = [decode_item(message.value or b"") for message in made_up_items(50, seed=1)]
    people = [decode_profile(message.value or b"") for message in profiles(PLAN)]
    assert all(isinstance(item, ItemMessage) and not item.model_extra for item in items)
    assert all(isinstance(who, ProfileMessage) and not who.model_extra for who in people)
    assert len(people) == len(USERS)


def test_the_same_plan_makes_the_same_bytes(messages: list[Message]) -> None:
    again = replace(PLAN, catalogue=Catalogue.of(made_up_items(300, seed=1)))
    assert list(islice(simulate(again), 8000)) == messages


def test_another_seed_makes_other_events(messages: list[Message]) -> None:
    other = list(islice(simulate(replace(PLAN, seed=8)), 8000))
    assert not {message.value for message in other} & {message.value for message in messages}


def test_the_same_seed_at_another_time_makes_other_event_ids(
    events: list[dict[str, Any]],
) -> None:
    later = islice(simulate(replace(PLAN, start_ms=START + 1)), 8000)
    ids = {orjson.loads(message.value or b"")["event_id"] for message in later}
    assert not ids & {event["event_id"] for event in events}


def test_events_come_in_time_order_from_the_start_on(messages: list[Message]) -> None:
    times = [message.event_time for message in messages]
    assert times == sorted(times)
    assert times[0] >= START


def test_the_rate_is_about_the_one_asked_for(messages: list[Message]) -> None:
    seconds = (messages[-1].event_time - START) / 1000
    assert len(messages) / seconds == pytest.approx(PLAN.events_per_second, rel=0.1)


def test_event_ids_are_unique(events: list[dict[str, Any]]) -> None:
    assert len({event["event_id"] for event in events}) == len(events)


def test_sessions_of_a_user_are_more_than_half_an_hour_apart(
    events: list[dict[str, Any]],
) -> None:
    last: dict[str, dict[str, Any]] = {}
    for event in events:
        user = event.get("user_id")
        if user is None:
            continue
        before = last.get(user)
        if before is not None:
            gap = event["event_time"] - before["event_time"]
            same = event["session_id"] == before["session_id"]
            assert gap < SESSION_GAP_MS if same else gap > SESSION_GAP_MS
        last[user] = event


def test_every_step_follows_the_step_before_it(events: list[dict[str, Any]]) -> None:
    done: set[tuple[str, str, str]] = set()
    for event in events:
        if event["type"] == "search":
            continue
        session, item = event["session_id"], event["item_id"]
        before = BEFORE.get(event["type"])
        assert before is None or (session, item, before) in done, event
        done.add((session, item, event["type"]))


def test_the_funnel_narrows_and_every_kind_of_event_occurs(events: list[dict[str, Any]]) -> None:
    count = Counter(event["type"] for event in events)
    steps = [count[kind] for kind in ("view", "click", "add_to_cart", "purchase")]
    assert all(wide > 1.3 * narrow for wide, narrow in pairwise(steps))
    assert set(count) == {*BEFORE, "view", "search"}


def test_some_sessions_are_anonymous(events: list[dict[str, Any]]) -> None:
    share = sum("user_id" not in event for event in events) / len(events)
    assert 0.1 < share < 0.4


def test_more_traffic_than_users_can_make_comes_from_anonymous_visitors() -> None:
    busy = replace(PLAN, user_ids=["only"], events_per_second=50.0)
    bodies = [orjson.loads(m.value or b"") for m in islice(simulate(busy), 2000)]
    assert len({event["session_id"] for event in bodies if "user_id" in event}) <= 2


def test_popular_items_take_most_of_the_views(events: list[dict[str, Any]]) -> None:
    views = Counter(event["item_id"] for event in events if event["type"] == "view")
    top = sum(count for _, count in views.most_common(30))
    assert top > 0.4 * views.total()


def test_people_look_at_few_shelves_and_these_drift(events: list[dict[str, Any]]) -> None:
    shelf = {item.item_id: s.name for s in PLAN.catalogue.shelves for item in s.items}
    seen: dict[str, list[str]] = defaultdict(list)
    for event in events:
        if event["type"] == "view" and "user_id" in event:
            seen[event["user_id"]].append(shelf[event["item_id"]])
    often = max(seen.values(), key=len)
    early, late = Counter(often[: len(often) // 4]), Counter(often[-len(often) // 4 :])
    assert sum(n for _, n in early.most_common(3)) > 0.6 * early.total()
    assert {name for name, _ in early.most_common(3)} != {name for name, _ in late.most_common(3)}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS.keys())
def test_every_bad_message_is_refused(
    spoil: Callable[[bytes], bytes | None], messages: list[Message]
) -> None:
    for message in messages[:200]:
        value = spoil(message.value or b"")
        assert isinstance(decode_interaction(value, message.event_time), InvalidEvent)


def test_faults_are_added_and_counted_and_the_good_events_stay(messages: list[Message]) -> None:
    faults = Faults(bad=0.05, duplicates=0.1, seed=3)
    sent = list(faults.among(messages))
    assert len(sent) == faults.good + faults.bad + faults.duplicates
    refused = sum(isinstance(decode_interaction(m.value, m.event_time), InvalidEvent) for m in sent)
    good = {message.value for message in messages}
    copies = Counter(message.value for message in sent if message.value in good)
    assert refused == faults.bad > 0
    assert set(copies) == good
    assert copies.total() - len(copies) == faults.duplicates > 0


def test_faults_of_the_same_seed_are_the_same(messages: list[Message]) -> None:
    def once() -> list[Message]:
        return list(Faults(bad=0.1, duplicates=0.1, seed=3).among(messages[:1000]))

    assert once() == once()


def test_a_catalogue_without_items_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one item"):
        Catalogue([])
