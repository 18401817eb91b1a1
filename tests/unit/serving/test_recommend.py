"""The five steps, seen from outside."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from feature_store.declaration import Entity
from feature_store.stores.base import Record, TrendingList
from feature_store.tiles import Version
from models.rows import columns
from serving.reasons import AREA
from tests.unit.serving.world import (
    DECLARATION,
    NOW,
    Make,
    World,
    ids,
    publish_bundle,
    recent,
    record,
    trending,
)


def test_a_known_user_gets_a_full_list_with_provenance(world: World) -> None:
    answer = world.list_for("ann", limit=5)
    assert len(set(ids(answer))) == 5
    assert answer["bundle"]
    assert answer["degraded"] == []
    assert all(item["sources"] and item["reason"] and item["title"] for item in answer["items"])


def test_what_a_user_buys_again_and_again_comes_with_that_reason(world: World) -> None:
    world.did("ann", recent("milk", "purchase", 86_400), recent("milk", "purchase", 8 * 86_400))
    reasons = {i["id"]: i["reason"] for i in world.list_for("ann", mode="replenish")["items"]}
    assert reasons["milk"] != "popular"


def test_the_first_click_of_a_new_visitor_changes_the_list_and_names_its_cause(
    world: World,
) -> None:
    before = world.list_for("anon:s1")
    click = recent("tea", "click")
    world.did("anon:s1", click)
    after = world.list_for("anon:s1")
    assert [i["score"] for i in before["items"]] != [i["score"] for i in after["items"]]
    assert any(item["reason"] == "because you viewed Tea" for item in after["items"])
    assert after["last_event_id"] == "click-tea"
    assert after["feature_as_of"] == click.event_time
    assert after["feature_age_ms"] == after["generated_at"] - after["feature_as_of"]


def test_an_unknown_user_gets_what_is_popular_and_trending(world: World) -> None:
    answer = world.list_for("nobody")
    assert ids(answer)
    assert set(answer["sources"]) <= {"popular", "trending"}
    assert answer["last_event_id"] is None


def test_a_category_is_kept_to_at_any_level_of_the_path(world: World) -> None:
    assert set(ids(world.list_for("ann", category="drinks"))) == {"beer", "juice", "tea"}
    assert len(ids(world.list_for("ann", category="food"))) == 10
    assert ids(world.list_for("ann", category="cars")) == []


def test_the_impression_carries_the_vectors_that_were_used(world: World) -> None:
    with world.http:
        answer = world.list_for("ann", limit=4)
    (message,) = world.kafka.handed_over
    said = orjson.loads(message.value)
    assert message.topic == "recommendation-impressions"
    assert message.key == b"ann"
    assert said["impression_id"] == answer["impression_id"]
    assert said["bundle"] == answer["bundle"]
    assert [item["item_id"] for item in said["items"]] == ids(answer)
    width = len(columns(DECLARATION))
    assert all(len(item["vector"]) == width for item in said["items"])


def test_a_trending_item_that_no_bundle_knows_gets_a_place(world: World) -> None:
    world.hot.write_records([record("kiwi")])
    world.hot.publish_trending(trending("kiwi", "beer", at=NOW + 1))
    world.settle()
    assert "kiwi" in ids(world.list_for("ann", limit=10))


def test_a_bundle_without_a_ranker_answers_with_the_blend(make: Make, tmp_path: Path) -> None:
    publish_bundle(tmp_path, with_ranker=False)
    answer = make(root=tmp_path).list_for("ann")
    assert ids(answer)[0] == "milk"
    assert answer["degraded"] == []


def test_no_leaf_category_fills_a_list_that_has_others(world: World) -> None:
    world.did("ann", *(recent(i, "click") for i in ("milk", "butter", "cheese", "yoghurt")))
    shown = ids(world.list_for("ann", limit=6))
    assert sum(item in {"milk", "butter", "cheese", "yoghurt"} for item in shown) <= 2


@pytest.mark.parametrize(("country", "told"), [("NO", True), ("SE", False), (7, False)])
def test_what_moves_in_a_persons_country_says_so(world: World, country: object, told: bool) -> None:
    lists = {"": [("tea", 2.0)], "country:NO": [("juice", 2.0), ("milk", 1.0)]}
    world.hot.publish_trending(TrendingList("1h", NOW, lists))
    profile = orjson.dumps({"user_id": "ann", "country": country}).decode()
    world.hot.write_records([Record(Entity.USER, "ann", Version(NOW, 0, 0), profile)])
    world.settle()
    reasons = {item["id"]: item["reason"] for item in world.list_for("ann")["items"]}
    assert (reasons["juice"] == AREA) == told
    assert reasons["milk"] == "from your history"  # what is her own says so
