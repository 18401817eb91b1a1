"""What every answer carries, whatever came of it: security headers, and leave for known pages."""

from __future__ import annotations

import pytest

from serving.admission import Lane
from serving.middleware import SECURITY_HEADERS
from serving.settings import ServingSettings
from tests.unit.serving.world import Make, World

PAGE = "https://shop.example"
ANSWERS = {
    200: "/api/items/milk",
    404: "/api/items/nothing",
    422: "/api/items?limit=0",
    500: "/api/trending",
    503: "/api/items",
}


@pytest.fixture
def world(make: Make) -> World:
    return make(rules=ServingSettings(refresh_s=60, cors=frozenset({PAGE})))


@pytest.mark.parametrize("status", ANSWERS)
@pytest.mark.parametrize("origin", [PAGE, "https://elsewhere.example"])
def test_every_answer_has_the_headers(
    world: World, status: int, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if status == 500:
        monkeypatch.setattr(type(world.parts.trending), "published", lambda *_: 1 / 0)
    if status == 503:

        async def full(*_: object) -> bool:
            return False

        monkeypatch.setattr(Lane, "enter", full)
    for _ in range(2):  # the overload's answer is made once, and must not gather headers
        answer = world.http.get(ANSWERS[status], headers={"Origin": origin})
        assert answer.status_code == status
        for name, value in SECURITY_HEADERS:
            assert answer.headers.get_list(name.decode()) == [value.decode()]
        allowed = answer.headers.get_list("access-control-allow-origin")
        assert allowed == ([PAGE] if origin == PAGE else [])
        if status == 503:
            assert answer.headers["retry-after"] == "1"
            exposed = answer.headers.get("access-control-expose-headers", "")
            assert "Retry-After" in exposed


def test_a_page_asks_first_what_it_may_do(world: World) -> None:
    asks = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "Content-Type",
    }
    allowed = world.http.options("/api/users/ann", headers={"Origin": PAGE, **asks})
    assert allowed.status_code == 200
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    refused = world.http.options("/api/users/ann", headers={"Origin": "https://x.example", **asks})
    assert refused.status_code == 400
    for answer in (allowed, refused):
        assert answer.headers["x-content-type-options"] == "nosniff"
