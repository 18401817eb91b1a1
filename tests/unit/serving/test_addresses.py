"""Every id can be addressed, and every other name is the same handler."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from serving.routes.aliases import ALIASES
from tests.unit.serving.world import World, recent, record

ODD = ("a/b", "a/similar", "//", "%2F", "sample", "ä/ö", "..", "a b", "why", "a?b#c")


@pytest.mark.parametrize("odd", ODD)
def test_a_user_with_an_odd_name_is_found(world: World, odd: str) -> None:
    world.did(odd, recent("tea", "click"))
    path = quote(odd, safe="").replace(".", "%2E")
    assert world.list_for(path)["user_id"] == odd
    assert world.http.get(f"/api/users/{path}").json()["user_id"] == odd
    history = world.http.get(f"/api/users/{path}/history").json()
    assert [event["item_id"] for event in history["events"]] == ["tea"]


def test_an_item_with_a_slash_is_found_and_so_is_what_is_similar_to_it(world: World) -> None:
    world.hot.write_records([record("x/similar")])
    world.settle()
    assert world.http.get("/api/items/x%2fsimilar").json()["id"] == "x/similar"
    said = world.http.get("/api/items/x%2Fsimilar/similar").json()
    assert (said["item_id"], said["items"]) == ("x/similar", [])
    assert world.http.get("/api/items/x/y/z").status_code == 404


def test_control_characters_stay_refused_behind_an_encoded_slash(world: World) -> None:
    for path in ("a%2F%00", "%2F%0A", "%1F"):
        assert world.http.get(f"/api/users/{path}").status_code == 422


@pytest.mark.parametrize(("alias", "path"), ALIASES.items())
def test_another_name_is_the_same_handler_with_the_same_contract(
    world: World, alias: str, path: str
) -> None:
    paths = world.http.get("/openapi.json").json()["paths"]
    assert set(paths[alias]) == set(paths[path])
    for method, said in paths[alias].items():
        for part in ("parameters", "requestBody", "responses"):
            assert said.get(part) == paths[path][method].get(part)


def test_other_names_answer(world: World) -> None:
    for path in ("/api/products", "/api/products/milk", "/recommendations/ann", "/items/milk"):
        assert world.http.get(path).status_code == 200
    assert world.http.put("/users/ann", json={"country": "NO"}).status_code == 202
    body = {"user_id": "ann", "item_id": "milk", "type": "click"}
    assert world.http.post("/interactions", json=body).status_code == 202
