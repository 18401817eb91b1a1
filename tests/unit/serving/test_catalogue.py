"""Finding items, page by page, and what goes with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from feature_store.declaration import Entity
from feature_store.stores.base import Record
from feature_store.tiles import Version
from serving.settings import ServingSettings
from tests.unit.serving.world import ITEMS, Broken, Make, World, ids, record


def found(world: World, **asked: Any) -> dict[str, Any]:
    answer = world.http.get("/api/items", params=asked)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def test_pages_of_a_search_hold_every_item_once_in_order(world: World) -> None:
    shown: list[str] = []
    cursor = ""
    while cursor is not None:
        page = found(world, limit=3, **({"cursor": cursor} if cursor else {}))
        shown += ids(page)
        cursor = page["next_cursor"]
    assert shown == sorted(ITEMS)


def test_an_item_that_comes_between_two_pages_moves_nothing(world: World) -> None:
    first = found(world, limit=5)
    world.hot.write_records([record("aaa")])
    world.settle()
    second = found(world, limit=50, cursor=first["next_cursor"])
    assert ids(first) + ids(second) == sorted(ITEMS)
    assert ids(found(world, limit=1)) == ["aaa"]


def test_a_search_keeps_to_brand_and_price(world: World) -> None:
    world.hot.write_records([record("cake", world.now, price=9.0, brand="gold")])
    world.settle()
    assert ids(found(world, brand="gold")) == ["cake"]
    assert ids(found(world, price_min=2)) == ["cake"]
    assert "cake" not in ids(found(world, price_max=2))


def test_what_is_similar_was_bought_together_or_is_alike(world: World) -> None:
    said = world.http.get("/api/items/milk/similar", params={"limit": 3}).json()
    assert len(ids(said)) == 3
    assert "milk" not in ids(said)
    assert said["items"][0]["reason"]
    assert all(0 < item["score"] <= 1 for item in said["items"])
    assert said["bundle"]


def test_similar_offers_only_what_can_be_had(world: World) -> None:
    first = ids(world.http.get("/api/items/milk/similar").json())[0]
    world.hot.write_records([record(first, world.now, available=False)])
    world.settle()
    assert first not in ids(world.http.get("/api/items/milk/similar").json())


def test_similar_to_nothing_known_is_a_404_and_without_a_bundle_it_says_so(
    world: World, make: Make, tmp_path: Path
) -> None:
    assert world.http.get("/api/items/unknown/similar").status_code == 404
    said = make(root=tmp_path).http.get("/api/items/milk/similar").json()
    assert (said["items"], said["degraded"]) == ([], ["bundle"])


def test_descriptions_are_the_stores_to_tell_and_without_them_an_answer_says_so(
    world: World,
) -> None:
    world.hot.write_records([record("milk", world.now, description="Fresh.", tags=["vegan"])])
    world.settle()
    assert found(world, q="milk")["items"][0]["description"] == "Fresh."
    assert found(world)["degraded"] == []
    world.hot_guard.store, world.kept_guard.store = Broken(), Broken()
    item = world.http.get("/api/items/milk").json()
    assert (item["title"], item["description"]) == ("Milk", "")
    for said in (item, found(world, q="milk")):
        assert said["degraded"] == ["redis", "cassandra"]


def test_what_was_deleted_a_moment_ago_is_gone_before_anybody_read_it(world: World) -> None:
    world.hot.write_records([Record(Entity.ITEM, "milk", Version(world.now, 0, 0), "")])
    assert world.http.get("/api/items/milk").status_code == 404


def test_what_changed_is_looked_for_every_five_seconds(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, looks = make(rules=ServingSettings(refresh_s=1)), list[int]()
    monkeypatch.setattr(world.hot, "changed_items", lambda since: looks.append(since) or [])
    for _ in range(10):
        world.parts.items.turn()
    assert len(looks) == 2


def test_what_nobody_described_is_read_once_and_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, read = ["made up", "milk"], list[str]()
    tiles = world.hot.read_item_tiles
    monkeypatch.setattr(
        world.hot, "changed_items", lambda since: [changed.pop()] if changed else []
    )
    monkeypatch.setattr(world.hot, "read_item_tiles", lambda ids: read.extend(ids) or tiles(ids))
    for _ in range(2 * len(ITEMS)):
        world.parts.items.turn()
    assert read.count("made up") == 1
    assert read.count("milk") > 1
    changed.append("made up")
    world.hot.write_records([record("made up")])
    for _ in range(2 * len(ITEMS)):
        world.parts.items.turn()
    assert read.count("made up") > 2
