"""What a list can be asked to be: filters, pages, contexts, explanations."""

from __future__ import annotations

from typing import Any

import pytest

from serving.ask import mark
from tests.unit.serving.world import ITEMS, World, ids, recent, record


def post(world: World, **said: Any) -> dict[str, Any]:
    answer = world.http.post("/api/recommendations", json=said)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_pages_of_a_cursor_show_every_item_once_whatever_is_clicked_in_between(
    world: World,
) -> None:
    shown: list[str] = []
    cursor = None
    for item in ("milk", "tea", "cake", "bun", "beer"):
        asked = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = world.list_for("ann", **asked)
        shown += ids(page)
        cursor = page["next_cursor"]
        world.did("ann", recent(item, "click"))
        if cursor is None:
            break
    assert sorted(shown) == sorted(ITEMS)


def test_the_second_page_is_what_the_cursor_of_the_first_would_give(world: World) -> None:
    first = world.list_for("kim", limit=4)
    by_cursor = world.list_for("kim", limit=4, cursor=first["next_cursor"])
    by_number = world.list_for("kim", limit=4, page=2)
    assert ids(by_number) == ids(by_cursor)
    assert ids(world.list_for("kim", limit=4, page=9)) == []
    rest = world.list_for("kim", limit=4, cursor=by_number["next_cursor"])
    assert sorted(ids(first) + ids(by_number) + ids(rest)) == sorted(ITEMS)


def test_a_cursor_is_made_of_marks_of_one_width() -> None:
    assert {len(mark(item)) for item in ("", "a" * 256, "æ", "\ud800")} == {8}


def test_brand_and_price_are_kept_to(world: World) -> None:
    dear = [record(item, world.now, price=9.0, brand="gold") for item in ("cake", "tea")]
    for store in (world.hot, world.kept):
        store.write_records(dear)
    world.settle()
    assert set(ids(world.list_for("ann", brand="gold"))) == {"cake", "tea"}
    assert set(ids(world.list_for("ann", price_min=5))) == {"cake", "tea"}
    assert set(ids(world.list_for("ann", price_max=5))) == set(ITEMS) - {"cake", "tea"}
    assert ids(world.list_for("ann", price_min=5, price_max=4)) == []
    assert ids(world.list_for("ann", brand="nobody")) == []


def test_what_is_excluded_is_left_out(world: World) -> None:
    assert not {"milk", "tea"} & set(ids(world.list_for("ann", exclude=["milk", "tea"])))


def test_on_an_items_page_what_goes_with_it_comes_first_and_says_so(world: World) -> None:
    answer = world.list_for("bob", item_id="butter", context="item")
    first = answer["items"][0]
    assert "Butter" in first["reason"]
    assert "butter" not in ids(answer)
    assert len(ids(answer)) == len(ITEMS) - 1


def test_the_cart_asks_for_what_goes_with_it(world: World) -> None:
    world.did("bob", recent("cheese", "add_to_cart"))
    assert "cheese" in ids(world.list_for("bob"))
    answer = world.list_for("bob", context="cart")
    assert "cheese" not in ids(answer)
    assert "Cheese" in answer["items"][0]["reason"]


def test_a_session_is_asked_for_by_its_id(world: World) -> None:
    world.did("anon:s1", recent("tea", "click"))
    answer = world.http.get("/api/recommendations", params={"session_id": "s1"}).json()
    assert answer["user_id"] == "anon:s1"
    assert answer["last_event_id"] == "click-tea"
    assert world.http.get("/api/recommendations").status_code == 422


def test_an_app_that_keeps_state_sends_it_and_no_store_is_asked(world: World) -> None:
    nothing, basket = post(world), post(world, basket=["cheese"])
    assert nothing["features_from"] == basket["features_from"] == "request"
    assert basket["user_id"] is None
    assert "cheese" not in ids(basket)
    assert "Cheese" in basket["items"][0]["reason"]
    clicked = post(world, recents=[{"item_id": "tea", "type": "click"}])
    assert any(item["reason"] == "because you viewed Tea" for item in clicked["items"])
    assert "tea" not in ids(post(world, recents=[{"item_id": "tea", "type": "dislike"}]))


def test_what_an_app_sends_is_added_to_what_is_known_of_a_user(world: World) -> None:
    world.did("ann", recent("cake", "dislike"))
    answer = post(world, user_id="ann", recents=[{"item_id": "tea", "type": "dislike"}])
    assert answer["features_from"] == "redis+request"
    assert not {"cake", "tea"} & set(ids(answer))


def test_explain_says_where_each_item_stood_and_what_the_time_went_into(world: World) -> None:
    answer = world.list_for("ann", limit=4, explain=True, exclude=["bread"])
    said = answer["explain"]
    assert set(said["steps_ms"]) >= {"features", "candidates", "rules", "rank", "diversity"}
    assert said["left_out"] == {"the request excluded it": 1}
    assert said["offered"] > 1
    assert said["allowed"] >= 4
    milk = next(item for item in answer["items"] if item["id"] == "milk")["explain"]
    assert {offer["source"] for offer in milk["offers"]} >= {"own"}
    assert all(offer["rank"] >= 1 for offer in milk["offers"])
    assert milk["columns"][0]["column"].startswith("score_")
    plain = world.list_for("ann", limit=4, exclude=["bread"])
    assert ids(plain) == ids(answer)
    assert plain["explain"] is None


@pytest.mark.parametrize(
    "body",
    [
        [], "x", {"limit": 0}, {"basket": ["a"] * 101}, {"basket": [1]}, {"recents": [{}]},
        {"recents": [{"item_id": "a", "type": "stare"}]}, {"limt": 3}, {"price_min": -1},
        {"recents": [{"item_id": "a"}] * 201}, {"cursor": "short"}, {"diversity": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_body_that_does_not_fit_is_refused(world: World, body: Any) -> None:
    answer = world.http.post("/api/recommendations", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    [
        "cursor=abc", "cursor=" + "a" * 8 * 301, "page=0", "page=31", "diversity=1.1",
        "diversity=nan", "price_min=-1", "price_max=inf", "context=attic", "item_id=",
        "exclude=", "&".join(["exclude=a"] * 101), "explain=perhaps", "brand=%00",
    ],
    ids=lambda query: str(query)[:30],
)  # fmt: skip
def test_a_query_that_does_not_fit_is_refused(world: World, query: str) -> None:
    assert world.http.get(f"/api/recommendations/ann?{query}").status_code == 422
