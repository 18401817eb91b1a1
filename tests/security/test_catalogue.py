"""Bad requests are refused in words, whatever they are, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import psutil
import pytest

from tests.security.catalogue import CLOSED, ONLY_IDS, Bad, catalogue, raw
from tests.security.live import Answer, listening, send
from tests.unit.serving.world import Make, World

#: What an answer must not hold: a trace, a path, a name from inside.
INSIDE = (b"Traceback", b'File "', b"site-packages", b"serving/", b"pydantic", b"orjson")
#: A second round of all requests may leave at most this behind.
LEFT_MIB = 48


@pytest.fixture
def port(world: World) -> Iterator[int]:
    with listening(world) as port:
        yield port


def complaint(bad: Bad, answer: Answer) -> str | None:
    """What is wrong with the answer to a bad request, if anything is."""
    if answer.status not in bad.right:
        return f"{answer.status}, not {sorted(bad.right)}: {answer.body[:200]!r}"
    if answer.status in (CLOSED, 200) or b"HEAD " in bad.wire[:5]:
        return None
    if answer.headers.get("content-type") != "application/problem+json":
        return f"{answer.status} as {answer.headers.get('content-type')}"
    if leaked := [word for word in INSIDE if word in answer.body]:
        return f"{answer.status} says {leaked}"
    said = orjson.loads(answer.body)
    return None if said["status"] == answer.status and said["detail"] else f"says {said}"


def test_every_bad_request_is_refused_in_words_and_leaves_nothing(world: World, port: int) -> None:
    requests = catalogue()
    assert len(requests) >= 150
    assert len({bad.name for bad in requests}) == len(requests)
    found = {bad.name: complaint(bad, send(port, bad.wire)) for bad in requests}
    wrong = {name: what for name, what in found.items() if what}
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
    assert world.kafka.acknowledged == []
    before = psutil.Process().memory_info().rss
    for bad in requests:
        send(port, bad.wire)
    assert (psutil.Process().memory_info().rss - before) >> 20 < LEFT_MIB
    assert send(port, raw("/api/recommendations/ann")).status == 200


def test_the_catalogue_can_fail(world: World, port: int) -> None:
    fine = Bad("nothing is wrong", raw("/api/items"), frozenset({422}))
    assert complaint(fine, send(port, fine.wire))


@pytest.mark.parametrize("path", ["/api/recommendations/{}", "/api/users/{}", "/api/items/{}"])
def test_an_odd_id_is_only_an_id(port: int, path: str) -> None:
    for odd in ONLY_IDS:
        answer = send(port, raw(path.format(odd)))
        assert answer.status in (200, 404), (odd, answer)


def test_headers_that_never_end_are_ended(port: int) -> None:
    endless = b"GET / HTTP/1.1\r\nX-A: " + b"a" * 200_000
    assert send(port, endless).status == 431


def test_a_head_that_never_comes_is_given_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.wire.HEAD_S", 0.2)
    with listening(make()) as port:
        assert send(port, b"GET / HTTP/1.1\r\nX-A: b").status == 408
        assert send(port, b"").status == CLOSED


def test_a_body_that_never_comes_is_given_up(make: Make) -> None:
    world = make()
    rules = world.rules.model_copy(update={"body_deadline_s": 0.2})
    slow = raw(
        "/api/interactions", "Content-Type: application/json", "Content-Length: 9", method="POST"
    )
    with listening(make(rules=rules)) as port:
        answer = send(port, slow)
    assert (answer.status, answer.headers["content-type"]) == (408, "application/problem+json")


def test_one_connection_serves_many_requests(port: int) -> None:
    two = raw("/health/live") + raw("/api/nothing")
    assert send(port, two).status == 200
