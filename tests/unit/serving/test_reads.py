"""The other reads, their errors, and what surrounds every request."""

from __future__ import annotations

import logging

import pytest

from feature_store.declaration import Entity
from feature_store.stores.base import Record, TrendingList
from feature_store.tiles import Version
from tests.unit.serving.world import NOW, Make, World, ids, recent, record, stocked, trending


@pytest.mark.parametrize(
    "path",
    [
        "/api/recommendations/ann?limit=0",
        "/api/recommendations/ann?limit=-1",
        "/api/recommendations/ann?limit=1000000000",
        "/api/recommendations/ann?limit=ten",
        "/api/recommendations/ann?limt=5",
        "/api/recommendations/ann?mode=other",
        "/api/recommendations/ann?category=",
        "/api/recommendations/ann?category=%00",
        "/api/recommendations/a%00b",
        "/api/recommendations/a%0D%0Ab",
        "/api/recommendations/" + "a" * 257,
        "/api/items/%00",
        "/api/items?limit=101",
        "/api/items?q=" + "a" * 129,
        "/api/trending?window=2h",
        "/api/trending?limit=0",
        "/api/trending?country=norway",
        "/api/users/%7F",
        "/api/users?limit=0",
    ],
)
def test_bad_input_is_a_problem_with_a_reason(world: World, path: str) -> None:
    answer = world.http.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"]
    assert "Traceback" not in answer.text


def test_there_is_no_list_of_a_category_in_a_country(world: World) -> None:
    answer = world.http.get("/api/trending?country=NO&category=dairy")
    assert answer.status_code == 404
    assert "leave one of them out" in answer.json()["detail"]


def test_odd_ids_are_only_ids(world: World) -> None:
    for odd in ("'; DROP TABLE tiles;--", "\ufffd", "*", "return redis.call()", "æøå"):
        assert ids(world.list_for(odd))


@pytest.mark.parametrize("path", ["/nowhere", "/api/items/unknown", "/api/users/unknown"])
def test_what_is_not_there_is_a_404_problem(world: World, path: str) -> None:
    answer = world.http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_method_is_a_problem_too(world: World) -> None:
    answer = world.http.delete("/api/interactions")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == "POST"


def test_a_wrong_method_is_told_every_right_one(world: World) -> None:
    assert world.http.delete("/api/recommendations").headers["allow"] == "GET, POST"
    assert world.http.options("/api/users/a%2Fb").headers["allow"] == "GET, PUT"


def test_a_bug_is_a_500_without_a_trace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(world.parts.catalogue), "search", lambda *_: 1 / 0)
    answer = world.http.get("/api/items")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "division" not in answer.text


def test_an_item_is_what_the_newest_metadata_says(world: World) -> None:
    world.hot.write_records([record("milk", NOW + 1, title="Oat milk", tags=["vegan"])])
    world.settle()
    said = world.http.get("/api/items/milk").json()
    assert (said["title"], said["tags"], said["price"]) == ("Oat milk", ["vegan"], 1.5)


def test_a_deleted_item_is_gone(world: World) -> None:
    gone = Record(Entity.ITEM, "milk", Version(NOW + 1, 0, 0), "")
    for store in (world.hot, world.kept):
        store.write_records([gone])
    world.settle()
    assert world.http.get("/api/items/milk").status_code == 404


def test_who_starts_after_a_deletion_does_not_offer_what_the_bundle_still_knows(
    make: Make,
) -> None:
    hot, kept = stocked(), stocked()
    for store in (hot, kept):
        store.write_records([Record(Entity.ITEM, "milk", Version(NOW + 1, 0, 0), "")])
        store.publish_trending(trending("milk", "tea"))
    world = make(hot=hot, kept=kept)
    assert "milk" not in ids(world.list_for("ann", limit=50))
    for path in ("/api/items?q=", "/api/trending?window=24h", "/api/items/bread/similar?limit=50"):
        assert "milk" not in ids(world.http.get(path).json())
    for store in (hot, kept):
        store.write_records([record("milk", NOW + 2)])
    world.parts.items._read(["milk"])
    assert "milk" in ids(world.list_for("ann", limit=50))


def test_search_wants_every_word(world: World) -> None:
    def found(**asked: str) -> list[str]:
        return ids(world.http.get("/api/items", params=asked).json())

    assert set(found(q="dairy")) == {"milk", "butter", "cheese", "yoghurt"}
    assert found(q="DAIRY chee") == ["cheese"]
    assert set(found(category="drinks")) == {"beer", "tea", "juice"}
    assert found(q="dairy tea") == []


def test_trending_of_a_country_is_its_own_list(world: World) -> None:
    lists = {"": [("tea", 2.0)], "country:NO": [("beer", 1.0)]}
    world.hot.publish_trending(TrendingList("1h", NOW, lists))
    world.settle()
    said = world.http.get("/api/trending?window=1h&country=NO").json()
    assert (said["country"], [item["id"] for item in said["items"]]) == ("NO", ["beer"])
    assert world.http.get("/api/trending?window=1h&country=SE").json()["items"] == []


def test_trending_is_told_with_titles(world: World) -> None:
    said = world.http.get("/api/trending", params={"window": "24h", "limit": 1}).json()
    assert [item["title"] for item in said["items"]] == ["Beer"]
    assert said["published_at"] == NOW
    assert said["degraded"] == []
    assert world.http.get("/api/trending?window=5m").json()["items"] == []


def test_a_user_is_profile_and_last_actions_newest_first(world: World) -> None:
    body = '{"user_id":"ann","country":"NO"}'
    world.hot.write_records([Record(Entity.USER, "ann", Version(1, 0, 0), body)])
    world.did("ann", recent("milk", "view", 2), recent("tea", "click", 1))
    said = world.http.get("/api/users/ann").json()
    assert said["profile"]["country"] == "NO"
    assert [event["title"] for event in said["recents"]] == ["Tea", "Milk"]


def test_a_history_comes_page_by_page_newest_first(world: World) -> None:
    did = [
        recent(item, kind, 9 - n)
        for n, (item, kind) in enumerate(
            [("milk", "view"), ("tea", "click"), ("tea", "purchase"), ("bun", "view")]
        )
    ]
    world.did("ann", *did)
    first = world.http.get("/api/users/ann/history?limit=3").json()
    assert [event["event_id"] for event in first["events"]] == [
        "view-bun",
        "purchase-tea",
        "click-tea",
    ]
    rest = world.http.get("/api/users/ann/history", params={"cursor": first["next_cursor"]}).json()
    assert [event["title"] for event in rest["events"]] == ["Milk"]
    assert rest["next_cursor"] is None
    views = world.http.get("/api/users/ann/history?type=view").json()
    assert [event["item_id"] for event in views["events"]] == ["bun", "milk"]
    assert world.http.get("/api/users/unknown/history").status_code == 404
    assert world.http.get("/api/users/ann/history?cursor=x").status_code == 422


def test_the_sample_names_users_with_a_history(world: World) -> None:
    assert set(world.http.get("/api/users").json()["users"]) == {
        "ann", "bob", "eve", "kim", "lee",
    }  # fmt: skip
    assert len(world.http.get("/api/users?limit=2").json()["users"]) == 2


def test_ready_names_the_bundle(world: World) -> None:
    said = world.http.get("/health/ready").json()
    assert said["status"] == "ready"
    assert said["bundle"] == world.list_for("ann")["bundle"]


def test_metrics_count_requests_by_route_not_by_id(world: World) -> None:
    world.list_for("ann")
    text = world.http.get("/metrics").text
    assert 'route="/api/recommendations/{user_id}"' in text
    assert "ann" not in text


def test_the_log_line_of_a_request_holds_no_id(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("millrace.serving")
    logger.addHandler(caplog.handler)
    try:
        answer = world.http.get("/api/recommendations/secret-person")
    finally:
        logger.removeHandler(caplog.handler)
    (line,) = [r for r in caplog.records if r.message == "request"]
    fields = line.__dict__["fields"]
    assert fields["request"] == answer.headers["x-request-id"]
    assert "secret-person" not in str(line.__dict__)


def test_openapi_describes_every_route_and_the_page_is_served(world: World) -> None:
    paths = world.http.get("/openapi.json").json()["paths"]
    assert {"/api/interactions", "/api/recommendations/{user_id}"} <= set(paths)
    assert paths["/api/interactions"]["post"]["requestBody"]["content"]
    for path in ("/", "/status", "/web/store.js", "/web/style.css", "/docs"):
        assert world.http.get(path).status_code == 200
