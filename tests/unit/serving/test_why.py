"""Why an item is, or is not, in the list: the answer agrees with the list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.serving.world import ITEMS, NOW, World, ids, recent, record, trending


def why(world: World, user: str, item: str, **asked: Any) -> dict[str, Any]:
    answer = world.http.get(f"/api/recommendations/{user}/why/{item}", params=asked)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def test_for_every_item_why_agrees_with_the_list(world: World) -> None:
    world.did("ann", recent("tea", "click"), recent("beer", "dislike"))
    shown = ids(world.list_for("ann", limit=4))
    reasons = {item["id"]: item["reason"] for item in world.list_for("ann", limit=4)["items"]}
    for item in ITEMS:
        said = why(world, "ann", item, limit=4)
        assert said["shown"] == (item in shown)
        assert said["place"] == (shown.index(item) + 1 if item in shown else None)
        assert said["reason"] == reasons.get(item, said["reason"])
    assert why(world, "ann", "beer")["reason"] == "you disliked or removed it"


def test_ranks_count_what_the_rules_allow(world: World) -> None:
    ranks = [why(world, "ann", item)["rank"] for item in ITEMS]
    assert sorted(ranks) == list(range(1, len(ITEMS) + 1))
    last = ITEMS[ranks.index(len(ITEMS))]
    said = why(world, "ann", last, limit=2)
    assert said["reason"] == f"ranked {len(ITEMS)}: the list ends before it"
    assert said["offers"]


@pytest.mark.parametrize(
    ("item", "asked", "reason"),
    [
        ("milk", {"category": "drinks"}, "it is not in the category asked for"),
        ("milk", {"exclude": "milk"}, "the request excluded it"),
        ("milk", {"mode": "discover"}, "mode=discover leaves out what you know"),
        ("tea", {"mode": "replenish"}, "mode=replenish is for what you bought before"),
        ("milk", {"item_id": "milk"}, "the page is about it"),
        ("milk", {"price_min": 100}, "its price is not in the range asked for"),
        ("unheard of", {}, "nobody has described such an item"),
    ],
)
def test_what_kept_an_item_out_is_named(
    world: World, item: str, asked: dict[str, Any], reason: str
) -> None:
    said = why(world, "ann", item, **asked)
    assert (said["shown"], said["reason"]) == (False, reason)


def test_an_item_that_no_bundle_knows_or_that_is_gone_says_so(world: World) -> None:
    world.hot.write_records([record("kiwi"), record("milk", NOW + 1, available=False)])
    world.settle()
    world.hot.write_records([record("kiwi", NOW + 1)])
    world.parts.items.want(["kiwi"])
    world.settle()
    assert why(world, "ann", "milk")["reason"] == "it is not available now"
    assert why(world, "ann", "kiwi")["reason"].startswith("no bundle knows it yet")


def test_asking_why_shows_nothing_and_so_logs_no_impression(world: World) -> None:
    with world.http:
        why(world, "ann", "milk")
    assert world.kafka.handed_over == []


def test_a_newcomer_without_a_place_is_not_said_not_to_trend(world: World) -> None:
    newcomers = ["kiwi", "fig"]
    for store in (world.hot, world.kept):
        store.write_records([record(item) for item in newcomers])
        store.publish_trending(trending(*newcomers, at=NOW + 1))
    world.parts.items.want(newcomers)
    world.settle()
    assert "fig" not in ids(world.list_for("ann", limit=10))
    told = "no bundle knows it yet, and it has none of the few places of what trends"
    assert why(world, "ann", "fig", limit=10)["reason"] == told
    assert "kiwi" in ids(world.list_for("ann", limit=10))
    assert why(world, "ann", "kiwi", limit=10, page=2)["reason"] == "an earlier page has it"
