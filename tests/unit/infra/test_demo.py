"""The end of the demo: the storefront is visited, and its address is told while it is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from infra import shopper
from infra.demo import Story
from infra.shopper import Click
from infra.stack.errors import StackError

AT = {"MILLRACE_SERVING": "http://here", "MILLRACE_FLINK": "f", "MILLRACE_MLFLOW": "m"}
LAST = {"user_id": "718", "items": [], "last_event_id": "e9"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses asked for; every one of them answers, and the list knows the last click."""
    found: list[str] = []
    monkeypatch.setattr(shopper, "get_status", lambda url, timeout_s: found.append(url) or 200)
    monkeypatch.setattr(shopper, "call_json", lambda url: found.append(url) or LAST)
    return found


def story(stays: bool) -> Story:
    stack: Any = SimpleNamespace(environment=lambda: AT)
    return Story(Console(record=True, width=200), stack, 1, 1, stays)


def click(after: dict[str, Any]) -> Click:
    return Click({}, {**LAST, "last_event_id": "e1"}, after, 1.0)


def test_the_page_its_script_and_the_changed_list_are_fetched(asked: list[str]) -> None:
    told = story(stays=False)
    told._visit([click(LAST)])
    assert asked == [
        "http://here/", "http://here/web/store.js", "http://here/api/recommendations/718?limit=10"
    ]  # fmt: skip
    assert "changed list" in told.console.export_text()


def test_a_storefront_without_its_page_or_with_another_list_fails_the_demo(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StackError, match="changed"):
        story(stays=False)._visit([click({**LAST, "last_event_id": "later"})])
    monkeypatch.setattr(shopper, "get_status", lambda *_, **__: 404)
    with pytest.raises(StackError, match="404"):
        story(stays=False)._visit([click(LAST)])


@pytest.mark.parametrize("stays", [True, False])
def test_an_address_is_told_only_where_something_stays(stays: bool) -> None:
    told = story(stays)
    told._close("718")
    said = told.console.export_text()
    assert ("http://here/#718" in said) == stays
    assert ("--keep" in said) != stays
