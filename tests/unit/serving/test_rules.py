"""What may be shown, and what may not."""

from __future__ import annotations

import pytest

from feature_store.declaration import Entity
from feature_store.stores.base import Record
from feature_store.tiles import Version
from serving.card import Card, Filter
from serving.rules import Caps, diversify, refused
from serving.settings import ServingSettings
from tests.unit.serving.world import ITEMS, NOW, Make, World, ids, recent, record


def test_unavailable_and_deleted_items_are_not_offered(world: World) -> None:
    world.hot.write_records(
        [
            record("milk", NOW + 1, available=False),
            Record(Entity.ITEM, "bread", Version(NOW + 1, 0, 0), ""),
        ]
    )
    world.kept.write_records([Record(Entity.ITEM, "bread", Version(NOW + 1, 0, 0), "")])
    world.settle()
    assert not {"milk", "bread"} & set(ids(world.list_for("ann")))


def test_an_item_that_comes_back_is_offered_again(world: World) -> None:
    world.hot.write_records([record("milk", NOW + 1, available=False)])
    world.settle()
    world.hot.write_records([record("milk", NOW + 2)])
    world.settle()
    assert "milk" in ids(world.list_for("ann"))


@pytest.mark.parametrize("refusal", ["dislike", "remove"])
def test_what_was_refused_is_not_offered(world: World, refusal: str) -> None:
    world.did("ann", recent("milk", refusal))
    assert "milk" not in ids(world.list_for("ann"))


def test_the_newest_word_on_an_item_holds() -> None:
    newest_first = [recent("milk", "like", 1), recent("milk", "dislike", 2), recent("tea", "view")]
    assert refused(newest_first) == set()
    assert refused(newest_first[1:]) == {"milk"}


def test_what_was_just_bought_is_not_offered_again_at_once(world: World) -> None:
    world.did("ann", recent("milk", "purchase", 60))
    assert "milk" not in ids(world.list_for("ann"))
    world.did("bob", recent("milk", "purchase", 3 * 3_600))
    assert "milk" in ids(world.list_for("bob"))


def test_discover_shows_only_what_the_user_never_touched(world: World) -> None:
    world.did("ann", recent("tea", "view"))
    shown = set(ids(world.list_for("ann", mode="discover")))
    assert shown
    assert not shown & {"milk", "bread", "tea"}


def test_replenish_shows_only_what_was_bought_before(world: World) -> None:
    world.did("ann", recent("cake", "purchase", 7_200), recent("tea", "view"))
    assert set(ids(world.list_for("ann", mode="replenish"))) == {"milk", "bread", "cake"}


def test_a_user_who_had_everything_still_gets_a_valid_answer(world: World) -> None:
    world.did("ann", *(recent(item, "view") for item in ITEMS))
    assert ids(world.list_for("ann", mode="discover")) == []


def test_blocked_items_are_never_offered(make: Make) -> None:
    rules = ServingSettings(blocked=frozenset({"milk", "beer"}))
    assert not {"milk", "beer"} & set(ids(make(rules=rules).list_for("ann")))


def test_diversity_puts_off_the_surplus_but_leaves_no_place_empty() -> None:
    def first(ranked: list[str], limit: int, cap: int) -> list[str]:
        return diversify(ranked, lambda item: item[0], limit, lambda _: cap)

    assert first(["a1", "a2", "a3", "b1"], 3, 2) == ["a1", "a2", "b1"]
    assert first(["a1", "a2", "a3"], 3, 1) == ["a1", "a2", "a3"]


def test_one_brand_takes_its_share_unless_it_is_what_was_asked_for() -> None:
    acme = [Card(f"acme-{n}", "", brand="acme") for n in range(8)]
    cards = [*acme, *(Card(f"other-{n}", "", brand=f"brand {n}") for n in range(8))]
    caps = Caps(category=1, brand=0.3)

    def shown(wanted: Filter) -> int:
        kept = diversify(cards, lambda card: caps.kinds(card, wanted), 8, lambda k: caps.of(k, 8))
        return len(set(acme) & set(kept))

    assert shown(Filter()) == 2
    assert shown(Filter(brand="acme")) == 8


def test_what_people_do_not_buy_again_is_done_with_once_bought(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "milk" in ids(world.list_for("ann"))
    monkeypatch.setattr("serving.rules.RARELY", 1.1)
    world.did("ann", recent("tea", "purchase", 7_200))
    shown = set(ids(world.list_for("ann")))
    assert not shown & {"milk", "bread", "tea"}
    assert {"beer", "juice"} <= shown
