"""The Python client: typed answers of the real app, and repetitions that are safe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from serving.client import PATIENCE_S, ApiError, Millrace
from tests.unit.serving.world import ITEMS, World, recent

GONE = {"accepted": 1, "event_ids": ["e"]}


def scripted(*answers: Any) -> tuple[Millrace, list[httpx.Request], list[float]]:
    """A client of a server that gives these answers, what it was sent, and the pauses made."""
    sent: list[httpx.Request] = []
    pauses: list[float] = []
    left: Iterator[Any] = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer[0], json=answer[1], headers=answer[2:] and answer[2])

    http = httpx.Client(transport=httpx.MockTransport(handle), base_url="http://api")
    return Millrace("http://api", http=http, sleep=pauses.append), sent, pauses


def test_every_call_is_understood_by_the_app_and_typed(world: World) -> None:
    api = Millrace("", http=world.http)
    world.did("a/nn", recent("tea", "click"))
    first = api.recommendations("a/nn", limit=3, exclude=["milk", "bun"], explain=True)
    assert len(first.items) == 3
    assert first.explain
    second = api.recommendations("a/nn", limit=3, cursor=first.next_cursor)
    assert not {item.id for item in first.items} & {item.id for item in second.items}
    assert api.recommendations_of_session("s1", limit=1).user_id == "anon:s1"
    assert api.recommendations_of_state(basket=["milk"]).features_from == "request"
    assert api.why("a/nn", "milk").item_id == "milk"
    assert api.item("milk").title == "Milk"
    assert len(api.items(limit=50, q=None).items) == len(ITEMS)
    assert api.similar("milk").bundle
    assert api.trending(window="24h").items
    assert api.user("a/nn").recents[0].item_id == "tea"
    assert api.history("a/nn", type="click").events
    assert api.put_user("a/nn", country="NO").accepted == 1
    assert api.interact({"user_id": "a/nn", "item_id": "tea", "type": "view"}).accepted == 1
    assert api.feedback("milk", "dislike", user_id="a/nn").degraded == []
    assert "milk" not in [item.id for item in api.recommendations("a/nn").items]


def test_a_write_is_repeated_with_the_same_event_id_after_the_pause_asked_for() -> None:
    api, sent, pauses = scripted(
        (503, {"detail": "out"}, {"Retry-After": "2"}), httpx.ConnectError("refused"), (202, GONE)
    )
    assert api.interact({"user_id": "u", "item_id": "i", "type": "view"}).accepted == 1
    bodies = [orjson.loads(request.content) for request in sent]
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0][0]["event_id"]
    assert pauses[0] == 2.0
    assert 0 < pauses[1] <= 0.2


def test_a_refusal_is_not_repeated_and_says_why() -> None:
    api, sent, _ = scripted((422, {"detail": "see errors", "errors": [{"field": "query.limit"}]}))
    with pytest.raises(ApiError, match="see errors") as refused:
        api.recommendations("u", limit=0)
    assert (refused.value.status, len(sent)) == (422, 1)
    assert refused.value.problem["errors"][0]["field"] == "query.limit"


def test_it_gives_up_after_its_retries_or_when_told_to_wait_too_long() -> None:
    api, sent, _ = scripted(*[httpx.ReadTimeout("slow")] * 4)
    with pytest.raises(ApiError) as given_up:
        api.item("i")
    assert (given_up.value.status, len(sent)) == (0, 4)
    api, sent, _ = scripted((429, {}, {"Retry-After": str(int(PATIENCE_S) + 1)}))
    with pytest.raises(ApiError):
        api.item("i")
    assert len(sent) == 1


def test_a_key_is_sent_over_a_transport_of_the_apps_own(world: World) -> None:
    Millrace("", "mr_secret", http=world.http)
    assert world.http.headers["Authorization"] == "Bearer mr_secret"


def test_a_key_is_sent_and_shown_nowhere() -> None:
    api = Millrace("http://127.0.0.1:1", key="mr_secret", retries=0)
    assert api._http.headers["Authorization"] == "Bearer mr_secret"
    with api, pytest.raises(ApiError) as refused:
        api.item("i")
    assert "mr_secret" not in str(refused.value) + repr(api)
