"""The result cache: quick when nothing changed, and never stale after a click."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import Phase, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from feature_store.declaration import Entity
from feature_store.stores.base import Recent, Record
from feature_store.tiles import Version
from serving.answers import Recommendations
from serving.ask import Ask
from serving.cache import Results
from serving.curation import Curated
from serving.features import FeatureReader
from serving.flights import Flights
from serving.settings import ServingSettings
from tests.unit.serving.world import (
    HISTORY,
    ITEMS,
    NOW,
    Make,
    World,
    ids,
    publish_bundle,
    recent,
    record,
    stocked,
)

GOOD_FOR_S = 60.0


class Clock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.now_ms = NOW + 1_000

    def time_ns(self) -> int:
        return self.now_ms * 1_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("serving.recommend.time", clock)
    return clock


@pytest.fixture
def world(make: Make, clock: Clock) -> World:
    """Ann has clicked, and has her list already."""
    world = make(rules=ServingSettings(refresh_s=60, result_s=GOOD_FOR_S))
    world.did("ann", recent("tea", "click"))
    world.list_for("ann")
    return world


def fates(world: World) -> dict[str, float]:
    """How many lists the cache has made, kept or found."""
    (family,) = world.telemetry.results.collect()
    return {s.labels["fate"]: s.value for s in family.samples if s.name.endswith("_total")}


def test_a_list_asked_for_again_is_the_same_list(world: World) -> None:
    first, again = world.list_for("ann"), world.list_for("ann")
    assert fates(world) == {"made": 1, "hit": 2}
    different = {"impression_id", "generated_at"}
    assert {k for k in first if first[k] != again[k]} <= different
    assert first["impression_id"] != again["impression_id"]


@pytest.mark.parametrize("asked", [{"limit": 3}, {"mode": "discover"}, {"category": "drinks"}])
def test_another_kind_of_request_is_another_list(world: World, asked: dict[str, Any]) -> None:
    world.list_for("ann", **asked)
    assert fates(world) == {"made": 2}


def test_a_click_is_in_the_next_answer(world: World) -> None:
    world.did("ann", recent("cake", "view", 0.5))
    assert world.list_for("ann")["last_event_id"] == "view-cake"
    assert fates(world) == {"made": 2}


def test_a_late_dislike_counts_although_a_newer_event_is_known(world: World) -> None:
    world.did("ann", recent("milk", "dislike", 600))
    assert "milk" not in ids(world.list_for("ann"))


def test_what_cannot_be_had_any_more_is_not_shown_from_the_cache(world: World) -> None:
    gone = ids(world.list_for("ann"))[0]
    world.hot.write_records([record(gone, NOW + 1, available=False)])
    world.settle()
    assert gone not in ids(world.list_for("ann"))


def test_a_kept_list_says_what_is_lacking_at_this_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = FeatureReader.of
    monkeypatch.setattr(
        FeatureReader, "of", lambda *asked: replace(of(*asked), failed=("cassandra",))
    )
    world.parts.trending.fresh = False
    assert world.list_for("ann")["degraded"] == ["cassandra", "trending"]
    assert fates(world) == {"made": 1, "hit": 1}


@pytest.mark.parametrize("seconds", [GOOD_FOR_S + 1, -1])
def test_a_list_that_is_old_or_of_the_future_is_made_anew(
    world: World, clock: Clock, seconds: float
) -> None:
    clock.now_ms += int(seconds * 1_000)
    world.list_for("ann")
    assert fates(world) == {"made": 2}


def test_a_degraded_list_is_not_kept(make: Make) -> None:
    world = make()
    world.did("ann", recent("tea", "click"))
    world.parts.trending.fresh = False
    world.list_for("ann")
    world.parts.trending.fresh = True
    assert world.list_for("ann")["degraded"] == []
    assert fates(world) == {"made": 2}


@pytest.mark.parametrize("kept", ["", "{", "null", "[]", '{"token": 1}', '"text"'])
def test_rubbish_in_the_cache_is_no_result(world: World, kept: str) -> None:
    shape = world.parts.recommender.results.shape(Ask("ann"))
    world.hot.keep_result("ann", shape, kept)
    assert ids(world.list_for("ann"))
    assert fates(world) == {"made": 2}


@pytest.mark.parametrize(
    "damage",
    [
        {"at": "now"}, {"impression": None}, {"skipped": [1, {}]}, {"picks": {}}, {"picks": [[]]},
        {"picks": [["tea", 1.0, ["als"], "why", 5]]}, {"picks": [[["tea"], 1.0, ["als"], "why"]]},
        {"picks": [["tea", None, ["als"], "why"]]}, {"picks": [["tea", 1.0, 7, "why"]]},
    ],
)  # fmt: skip
def test_a_damaged_list_is_made_again(world: World, damage: dict[str, object]) -> None:
    shape = world.parts.recommender.results.shape(Ask("ann"))
    kept = world.hot.read_user("ann", shape).result
    assert kept
    world.hot.keep_result("ann", shape, orjson.dumps({**orjson.loads(kept), **damage}).decode())
    assert ids(world.list_for("ann"))
    assert fates(world) == {"made": 2}


def test_switched_off_it_keeps_nothing(make: Make) -> None:
    world = make(rules=ServingSettings(refresh_s=60, result_s=0))
    world.did("ann", recent("tea", "click"))
    world.list_for("ann")
    world.list_for("ann")
    assert fates(world) == {}


def test_the_impression_of_a_kept_list_names_the_one_with_the_vectors(world: World) -> None:
    with world.http:
        first, again = world.list_for("ann", limit=4), world.list_for("ann", limit=4)
    said = {i["impression_id"]: i for i in (orjson.loads(m.value) for m in world.kafka.handed_over)}
    assert said[first["impression_id"]]["made_as"] is None
    assert said[first["impression_id"]]["items"][0]["vector"]
    assert said[again["impression_id"]]["made_as"] == first["impression_id"]
    assert said[again["impression_id"]]["items"][0]["vector"] is None


def test_a_list_made_for_another_says_what_this_request_lacked_and_holds_no_vectors(
    world: World,
) -> None:
    made = world.parts.recommender.outcome(Ask(actor="ann", limit=4))
    features = replace(made.situation.features, failed=("redis",))
    other = replace(made.situation, features=features)
    first = replace(made, lacking=("trending",))
    shared = first.for_another(other)
    assert shared.lacking == ("redis", "trending")
    assert shared.for_another(made.situation).lacking == ("trending",)
    assert shared.made_as == made.impression_id
    assert shared.impression_id != made.impression_id
    assert shared.for_another(other).made_as == made.impression_id
    assert made.picks[0].vector is not None
    assert all(pick.vector is None for pick in shared.picks)


def test_of_many_who_ask_at_once_one_works_and_a_failure_is_not_shared() -> None:
    flights: Flights[int] = Flights()
    working, go, worked = threading.Event(), threading.Event(), []

    def work() -> int:
        worked.append(1)
        working.set()
        go.wait(5)
        if len(worked) == 1:
            raise RuntimeError("the first fails")
        return 7

    def lead() -> None:
        with pytest.raises(RuntimeError):
            flights.run("key", work, 5)

    leader = threading.Thread(target=lead)
    leader.start()
    assert working.wait(5)
    found: list[tuple[int, bool]] = []
    follower = threading.Thread(target=lambda: found.append(flights.run("key", work, 5)))
    follower.start()
    assert flights.run("other", lambda: 3, 5) == (3, True)
    go.set()
    leader.join()
    follower.join()
    assert found == [(7, True)]


def test_those_who_wait_get_the_result_and_who_waits_too_long_works() -> None:
    flights: Flights[int] = Flights()
    working, go = threading.Event(), threading.Event()

    def slow() -> int:
        working.set()
        go.wait(5)
        return 1

    leader = threading.Thread(target=lambda: flights.run("key", slow, 5))
    leader.start()
    assert working.wait(5)
    assert flights.run("key", lambda: 2, 0.01) == (2, True)
    found: list[tuple[int, bool]] = []
    follower = threading.Thread(target=lambda: found.append(flights.run("key", lambda: 3, 5)))
    follower.start()
    go.set()
    leader.join()
    follower.join()
    assert found in ([(1, False)], [(3, True)])  # the latter came after the work was done


class NeverStale(RuleBasedStateMachine):
    """Clicks, promotions, rules and the clock in any order: a kept list is what a new one is."""

    world: World
    clock: Clock
    made: tuple[Path, ...]

    @initialize()
    def opens(self) -> None:
        self.world.hot_guard.store = self.world.hot = stocked()
        self.world.did("ann", recent("tea", "click", 600))
        self.clock.now_ms = NOW + 1_000
        self.number = 0
        self.recommender = self.world.parts.recommender
        self.curate([], [])
        self.promote(0)
        self.world.settle()

    @rule(item=strategies.sampled_from(ITEMS),
          kind=strategies.sampled_from(["view", "purchase", "dislike", "like", "remove"]),
          ago_s=strategies.integers(0, 400))  # fmt: skip
    def click(self, item: str, kind: str, ago_s: int) -> None:
        self.number += 1
        at = self.clock.now_ms - ago_s * 1_000
        event = Recent(at, f"e{self.number}", kind, item, 1, 100, "")
        self.world.hot.write_recents([("ann", event)])

    @rule(which=strategies.integers(0, 1))
    def promote(self, which: int) -> None:
        self.world.registry.points_to = self.made[which]
        self.world.parts.champion.turn()

    @rule(
        blocked=strategies.lists(strategies.sampled_from(ITEMS), max_size=3),
        pinned=strategies.lists(strategies.sampled_from(ITEMS), max_size=1),
    )
    def curate(self, blocked: list[str], pinned: list[str]) -> None:
        self.world.parts.curation.replace(Curated(blocked=blocked, pinned=pinned))

    @rule(country=strategies.sampled_from(["NO", "SE"]))
    def move(self, country: str) -> None:
        self.number += 1
        body = f'{{"user_id":"ann","country":"{country}"}}'
        version = Version(self.number, 0, 0)
        self.world.hot.write_records([Record(Entity.USER, "ann", version, body)])

    @rule(item=strategies.sampled_from(ITEMS), available=strategies.booleans())
    def sell_out(self, item: str, available: bool) -> None:
        self.number += 1
        self.world.hot.write_records([record(item, NOW + self.number, available=available)])
        self.world.settle()
        if available:  # what can be had again is back when the kept list is old
            self.clock.now_ms += int((GOOD_FOR_S + 1) * 1_000)

    @rule(seconds=strategies.sampled_from([-3_600, -5, 1, 30, 61, 7_200]))
    def wait(self, seconds: int) -> None:
        self.clock.now_ms += seconds * 1_000

    @invariant()
    def is_never_stale(self) -> None:
        ask = Ask("ann", limit=5)
        kept = self.recommender.recommend(ask)
        new = replace(self.recommender, results=off(self.world)).recommend(ask)
        assert (kept.bundle, kept.last_event_id) == (new.bundle, new.last_event_id)
        assert set(listed(kept)) <= self._welcome()
        if kept.generated_at == self.clock.now_ms and not self._from_before():
            assert listed(kept) == listed(new)

    def _welcome(self) -> set[str]:
        """Items that nobody blocked, sold out or refused, by the recommender's own rules."""
        situation = self.recommender._situation(Ask("ann", limit=5))
        cards = map(self.world.parts.catalogue.get, ITEMS)
        return {card.item_id for card in cards if card and situation.rules.allow(card)}

    def _from_before(self) -> bool:
        """Whether the kept list was made at another time: ages may then order it differently."""
        shape = self.recommender.results.shape(Ask("ann", limit=5))
        result = self.world.hot.read_user("ann", shape).result
        return result is None or orjson.loads(result)["at"] != self.clock.now_ms


def listed(answer: Recommendations) -> list[str]:
    return [item.id for item in answer.items]


def off(world: World) -> Results:
    return replace(world.parts.recommender.results, good_for_s=0)


@pytest.fixture
def machine(make: Make, clock: Clock, tmp_path: Path) -> type[RuleBasedStateMachine]:
    """The machine over one world, emptied for each example."""
    made = tuple(publish_bundle(tmp_path / f"{n}", rows=HISTORY[: -n or None]) for n in (0, 3))
    publish_bundle(tmp_path / "shelf")
    world = make(root=tmp_path / "shelf", rules=ServingSettings(refresh_s=60, result_s=GOOD_FOR_S))
    return type("Machine", (NeverStale,), {"world": world, "clock": clock, "made": made})


def test_a_kept_list_is_never_stale(machine: type[RuleBasedStateMachine]) -> None:
    machine.TestCase.settings = settings(max_examples=settings().max_examples // 10)
    machine.TestCase("runTest").runTest()


def test_the_planted_bug_of_a_token_that_forgets_the_clicks_is_found(
    machine: type[RuleBasedStateMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Results, "_token", lambda _, situation: situation.live.bundle.id)
    machine.TestCase.settings = settings(max_examples=10, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        machine.TestCase("runTest").runTest()
