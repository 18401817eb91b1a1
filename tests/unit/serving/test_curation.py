"""What the shop decides by hand, in every process, whichever store is left; and diversity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.catalogue import Card
from serving.curation import Curated, boost
from serving.selection import varied
from tests.unit.serving.world import SHOP, Broken, Make, World, ids, recent


def put(world: World, **said: Any) -> dict[str, Any]:
    answer = world.http.put("/api/admin/rules", json=said)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_pins_come_first_up_to_half_of_the_list_and_only_on_its_first_page(world: World) -> None:
    put(world, pinned=["beer", "cake", "bun"])
    first = world.list_for("ann", limit=4)
    assert ids(first)[:2] == ["beer", "cake"]
    assert first["items"][0]["sources"] == ["pinned"]
    assert len(set(ids(first))) == 4
    second = world.list_for("ann", limit=4, cursor=first["next_cursor"])
    assert not set(ids(first)) & set(ids(second))
    assert ids(world.list_for("ann", limit=4, page=2)) == ids(second)


def test_a_pin_yields_to_what_was_refused_and_to_the_filter(world: World) -> None:
    put(world, pinned=["beer"])
    world.did("ann", recent("beer", "dislike"))
    assert "beer" not in ids(world.list_for("ann"))
    assert "beer" not in ids(world.list_for("bob", category="dairy"))


def test_what_is_blocked_is_gone_and_says_why(world: World) -> None:
    put(world, blocked=["milk"], pinned=["milk"])
    assert "milk" not in ids(world.list_for("ann"))
    said = world.http.get("/api/recommendations/ann/why/milk").json()
    assert said["reason"] == "the shop blocked it"
    put(world)
    assert "milk" in ids(world.list_for("ann"))


def test_what_is_blocked_neither_trends_nor_goes_with_anything(world: World) -> None:
    def shown() -> list[set[str]]:
        paths = "/api/trending?window=24h", "/api/items/bread/similar?limit=50"
        return [set(ids(world.http.get(path).json())) for path in paths]

    assert [{"beer", "milk"} & found for found in shown()] == [{"beer"}, {"milk"}]
    put(world, blocked=["beer", "milk"])
    assert [{"beer", "milk"} & found for found in shown()] == [set(), set()]


def test_a_boost_moves_an_item_so_many_places_up() -> None:
    cards = [Card(name, name) for name in "abcde"]
    assert boost([0, 1, 2, 3, 4], cards, Curated(boosted={"d": 2})) == [0, 3, 1, 2, 4]
    assert boost([0, 1, 2, 3, 4], cards, Curated(boosted={"e": 100, "b": 1})) == [4, 1, 0, 2, 3]


def test_a_boosted_item_comes_earlier_in_the_list(world: World) -> None:
    last = ids(world.list_for("ann"))[-1]
    put(world, boosted={last: 50})
    assert ids(world.list_for("ann"))[0] == last


def test_every_process_sees_the_rules_within_a_turn(make: Make, world: World) -> None:
    other = make(hot=world.hot, kept=world.kept)
    changed = put(world, blocked=["milk"])["changed_at"]
    other.parts.curation.turn()
    assert "milk" not in ids(other.list_for("ann"))
    assert other.http.get("/api/admin/rules").json()["changed_at"] == changed


def test_a_store_that_lost_the_rules_gets_them_back(world: World) -> None:
    put(world, blocked=["milk"])
    world.hot_guard.store = fresh = type(world.kept)()
    world.parts.curation.turn()
    assert fresh.read_document("curation") == world.kept.read_document("curation")


def test_without_one_store_the_rules_hold_and_it_is_said(make: Make) -> None:
    world = make(kept=Broken())
    assert put(world, blocked=["milk"])["degraded"] == ["cassandra"]
    assert "milk" not in ids(world.list_for("ann"))


def test_without_any_store_nothing_is_changed(make: Make) -> None:
    world = make(hot=Broken(), kept=Broken())
    answer = world.http.put("/api/admin/rules", json={"blocked": ["milk"]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert world.http.get("/api/admin/rules").json()["blocked"] == []


@pytest.mark.parametrize(
    "body",
    [[], {"pined": []}, {"pinned": ["a"] * 21}, {"boosted": {"a": 0}}, {"boosted": {"a": 1.5}},
     {"boosted": {"\x00": 1}}, {"blocked": [1]}],
    ids=str,
)  # fmt: skip
def test_rules_that_do_not_fit_are_refused(world: World, body: Any) -> None:
    assert world.http.put("/api/admin/rules", json=body).status_code == 422


def test_diversity_brings_other_categories_forward_and_tells_its_cost(world: World) -> None:
    world.did("ann", *(recent(i, "click") for i in ("milk", "butter", "cheese", "yoghurt")))

    def categories(diversity: float) -> int:
        shown = ids(world.list_for("ann", limit=3, diversity=diversity))
        return len({SHOP[item] for item in shown})

    assert categories(1.0) == 3
    cost = world.list_for("ann", limit=3, diversity=1, explain=True)["explain"]["diversity"]
    assert 0 < cost["score_kept"] <= 1
    none = world.list_for("ann", limit=3, diversity=0, explain=True)["explain"]["diversity"]
    assert none is None


def test_without_diversity_the_order_stays_and_with_all_of_it_kinds_alternate() -> None:
    kinds = np.asarray([0, 0, 0, 1, 1], np.int32)
    assert varied([0, 1, 2, 3, 4], kinds, 0.0, 5) == [0, 1, 2, 3, 4]
    assert varied([0, 1, 2, 3, 4], kinds, 1.0, 5)[:2] == [0, 3]
    assert varied([0, 1, 2, 3, 4], kinds, 1.0, 2) == [0, 1, 2, 3, 4]
