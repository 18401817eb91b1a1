"""A person who waits for an answer does not become the load that makes it late."""

from __future__ import annotations

from typing import Any

import pytest

from infra import shopper
from infra.shopper import Shopper


class Shop:
    """An API, and a clock, where the list knows of a click `late_s` after it."""

    def __init__(self, late_s: float) -> None:
        self.now, self.polls, self.known_at, self.clicked = 0.0, 0, late_s, ""

    def call(self, url: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
        if method == "POST":
            self.clicked = body["event_id"]
            return {}
        self.polls += 1
        known = self.clicked if self.now >= self.known_at else None
        return {"items": [{"id": "tea"}], "last_event_id": known}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(("late_s", "most"), [(0.05, 8), (1.0, 45), (10.0, 75)])
def test_a_wait_is_measured_to_a_tenth_with_few_questions(
    monkeypatch: pytest.MonkeyPatch, late_s: float, most: int
) -> None:
    shop = Shop(late_s)
    monkeypatch.setattr(shopper, "call_json", shop.call)
    monkeypatch.setattr(shopper, "time", shop)
    click = Shopper("http://shop", "ann").click({"items": [{"id": "tea"}]}, 0)
    assert late_s * 1000 <= click.milliseconds <= 1.1 * late_s * 1000 + 10
    assert shop.polls <= most
