"""The description of the API shows what may be asked, and what a refusal for now says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.unit.serving.world import World

EXAMPLED = {
    "limit", "category", "brand", "price_min", "price_max", "cursor", "context", "item_id",
    "country", "q", "exclude", "session_id",
}  # fmt: skip


def operations(world: World) -> Iterator[dict[str, Any]]:
    described = world.http.get("/openapi.json").json()
    for path in described["paths"].values():
        yield from path.values()


def test_parameters_come_with_examples(world: World) -> None:
    bare = {
        (operation["operationId"], parameter["name"])
        for operation in operations(world)
        for parameter in operation.get("parameters", ())
        if parameter["name"] in EXAMPLED
        and not (parameter.get("examples") or parameter["schema"].get("examples"))
    }  # fmt: skip
    assert bare == set()


def test_a_refusal_for_now_says_when_to_come_again(world: World) -> None:
    for operation in operations(world):
        for status in ("429", "503"):
            said = operation["responses"][status]
            assert said["headers"]["Retry-After"]["schema"] == {"type": "integer", "minimum": 1}
            assert "application/problem+json" in said["content"]
