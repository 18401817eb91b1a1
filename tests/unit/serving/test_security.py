"""Every route has a policy, and every policy holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient

from serving import keys
from serving.app import app_of
from serving.keys import Scope
from serving.security import Access, Policy, Public, policy_of
from serving.settings import ServingSettings
from tests.unit.serving.world import Make, World

EVERYTHING = frozenset(Scope)
#: What fills the paths of routes.
FILLED = {"user_id": "ann", "item_id": "milk"}
#: Routes that name a user outside their path, with a request that names ann.
ELSEWHERE: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/interactions"): {"user_id": "ann", "item_id": "milk", "type": "click"},
    ("POST", "/interactions"): {"user_id": "ann", "item_id": "milk", "type": "click"},
    ("POST", "/api/feedback"): {"user_id": "ann", "item_id": "milk", "kind": "like"},
    ("POST", "/api/recommendations"): {"user_id": "ann"},
}
#: Routes that are about nobody, so that any key that may read may call them.
NOBODY = {
    ("GET", "/api/items"),
    ("GET", "/api/items/{item_id}"),
    ("GET", "/api/items/{item_id}/similar"),
    ("GET", "/api/products"),
    ("GET", "/api/products/{item_id}"),
    ("GET", "/items/{item_id}"),
    ("GET", "/api/trending"),
}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "at 192.0.2.7"), ("::ffff:192.0.2.7", "at 192.0.2.7"),
        ("2001:db8::5", "at 2001:db8::/64"), ("fe80::1%eth0", "at fe80::/64"), ("a:b", "at a:b"),
    ],
)  # fmt: skip
def test_whoever_sends_no_key_is_known_by_an_address_and_never_as_a_key(
    world: World, address: str, name: str
) -> None:
    scope = {
        "type": "http",
        "client": (address, 1),
        "server": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost")],
    }
    assert world.parts.protection.identify(Request(scope)).name == name


@pytest.fixture
def locked(make: Make, tmp_path: Path) -> World:
    """The shop when everybody needs a key."""
    rules = ServingSettings(
        access=Access.KEYS, keys=tmp_path / "keys.json", audit=tmp_path / "audit.jsonl"
    )
    return make(rules=rules)


def key(world: World, scopes: frozenset[Scope] = EVERYTHING, **said: Any) -> str:
    """The token of a new key, known to the app."""
    made, token = keys.create(world.rules.keys, "test", scopes, **{"user": None, "days": 1} | said)
    assert made.id in token
    world.parts.protection.keys.refresh()
    return token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def routes(world: World) -> Iterator[tuple[str, str, Any]]:
    """Method, path and route of everything the app answers."""
    for route in iter_route_contexts(app_of(world.parts).routes):
        for method in sorted(route.methods or {"*"}):
            yield method, str(route.path), route


def guarded(world: World) -> list[tuple[str, str, Policy]]:
    """The routes that want a key."""
    found = ((method, path, policy_of(route)) for method, path, route in routes(world))
    wanting = [(m, path, policy) for m, path, policy in found if isinstance(policy, Policy)]
    assert len(wanting) > 5, "the walk finds no routes"
    return wanting


def call(world: World, method: str, path: str, token: str | None = None) -> httpx.Response:
    """A call whose only fault can be its key."""
    answer: httpx.Response = world.http.request(
        method,
        path.format(**FILLED),
        headers=bearer(token) if token else {},
        json=ELSEWHERE.get((method, path)),
    )
    return answer


def refused(answer: httpx.Response, status: int) -> bool:
    return (
        answer.status_code == status
        and answer.headers["content-type"] == "application/problem+json"
        and answer.headers["www-authenticate"].startswith('Bearer realm="millrace"')
    )


def test_every_route_has_a_policy(world: World) -> None:
    without = [(m, path) for m, path, route in routes(world) if policy_of(route) is None]
    assert without == []


def test_a_route_without_a_policy_is_found(world: World) -> None:
    bare = APIRoute("/bare", lambda: None, methods=["GET"])
    assert policy_of(bare) is None


def test_what_everybody_may_call_is_this(world: World) -> None:
    found = {path for _, path, route in routes(world) if isinstance(policy_of(route), Public)}
    pages = {"/", "/status", "/web/{name}", "/docs", "/docs.js", "/docs.css", "/openapi.json"}
    assert found - pages == {"/health/live", "/health/ready"}


def test_no_key_a_wrong_an_expired_and_a_revoked_one_open_nothing(locked: World) -> None:
    known = key(locked)
    expired, revoked = key(locked, days=0), key(locked)
    keys.revoke(locked.rules.keys, revoked.split("_")[1])
    locked.parts.protection.keys.refresh()
    wrong = [known + "x", known.replace("mr_", "xx_"), "mr_", "a", "mr_000000000000_x", expired]
    for method, path, _ in guarded(locked):
        for token in (None, *wrong, revoked):
            assert refused(call(locked, method, path, token), 401), (method, path, token)
        assert call(locked, method, path, known).status_code not in (401, 403), (method, path)


def test_a_key_without_the_scope_opens_nothing(locked: World) -> None:
    tokens = {scope: key(locked, EVERYTHING - {scope}) for scope in Scope}
    for method, path, policy in guarded(locked):
        answer = call(locked, method, path, tokens[policy.scope])
        assert refused(answer, 403), (method, path)
        assert f'scope="{policy.scope}"' in answer.headers["www-authenticate"]


def test_a_key_bound_to_a_user_opens_that_user_only(locked: World) -> None:
    hers, his = key(locked, user="ann"), key(locked, user="bob")
    for method, path, policy in guarded(locked):
        place = (method, path)
        if policy.whole:
            assert refused(call(locked, method, path, hers), 403), place
        elif place in NOBODY:
            assert call(locked, method, path, his).status_code not in (401, 403), place
        else:
            assert "{user_id}" in path or place in ELSEWHERE, f"{place}: who is it about?"
            assert call(locked, method, path, hers).status_code not in (401, 403), place
            assert refused(call(locked, method, path, his), 403), place
    assert not [sent for sent in locked.kafka.acknowledged if sent.key != b"ann"]


def test_a_user_with_a_slash_has_keys_too(locked: World) -> None:
    hers = key(locked, user="a/b")
    for path, status in (("a%2Fb", 200), ("a%2fb", 200), ("a%252Fb", 403), ("a", 403)):
        answer = locked.http.get(f"/api/recommendations/{path}", headers=bearer(hers))
        assert answer.status_code == status, path


def test_a_bound_key_may_not_hide_another_among_its_own(locked: World) -> None:
    hers = key(locked, user="ann")
    for other in ({"user_id": "bob"}, {"session_id": "s1"}):
        both = [{"item_id": "milk", "type": "click", **who} for who in ({"user_id": "ann"}, other)]
        assert refused(locked.http.post("/api/interactions", json=both, headers=bearer(hers)), 403)
    assert locked.kafka.acknowledged == []


def test_credentials_of_another_kind_are_refused(locked: World) -> None:
    for said in ("Basic YTpi", "Bearer", "Bearer ", "", "bearer \xff", f"Token {key(locked)}"):
        answer = locked.http.get("/api/items", headers={"Authorization": said.encode("latin-1")})
        assert refused(answer, 401), said


def test_a_process_of_this_machine_needs_no_key_and_others_do(world: World) -> None:
    assert world.http.get("/api/items").status_code == 200
    for named in (
        "localhost",
        "localhost:8000",
        "127.0.0.1:8000",
        "127.0.0.1",
        "[::1]",
        "[::1]:80",
    ):
        assert world.http.get("/api/items", headers={"Host": named}).status_code == 200, named
    for named in ("evil.example", "127.evil.example:8000", "127.0.0.1.evil.example", "", "[::1"):
        assert refused(world.http.get("/api/items", headers={"Host": named}), 401), named
    with TestClient(world.http.app, base_url="http://10.0.0.7") as far:
        assert refused(far.get("/api/items", headers={"Host": "127.0.0.1"}), 401)
        assert far.get("/health/live").status_code == 200


def test_a_wrong_key_is_refused_even_where_none_is_needed(world: World) -> None:
    assert refused(world.http.get("/api/items", headers=bearer("mr_a_b")), 401)


def test_anyone_is_still_no_administrator(make: Make) -> None:
    world = make(rules=ServingSettings(access=Access.ANYONE))
    assert world.http.get("/api/items", headers={"Host": "shop.example"}).status_code == 200
    for method, path, policy in guarded(world):
        if policy.scope is Scope.ADMIN:
            assert refused(call(world, method, path), 403)


def test_a_key_pays_from_its_own_quota(locked: World) -> None:
    slow, quick = key(locked, per_s=0.1, burst=2), key(locked)
    answers = [call(locked, "GET", "/api/items", slow) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 8 <= int(answers[-1].headers["retry-after"]) <= 10
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert call(locked, "GET", "/api/items", quick).status_code == 200


def test_keys_that_are_refused_cost_nobody_a_quota(locked: World) -> None:
    slow = key(locked, per_s=0.1, burst=1)
    for _ in range(5):
        assert call(locked, "GET", "/api/items", slow + "x").status_code == 401
    assert call(locked, "GET", "/api/items", slow).status_code == 200


def trail(world: World) -> list[tuple[str, bool]]:
    """What the trail says was done, and whether it was allowed."""
    lines = map(json.loads, world.rules.audit.read_text().splitlines())
    return [(line["did"], line["allowed"]) for line in lines]


def test_calls_of_an_administrator_leave_a_line_and_so_do_refused_ones(locked: World) -> None:
    rules = {"blocked": ["milk"]}
    for scopes, status in ((EVERYTHING, 200), (frozenset({Scope.READ, Scope.WRITE}), 403)):
        token = key(locked, scopes)
        answer = locked.http.put("/api/admin/rules", json=rules, headers=bearer(token))
        assert answer.status_code == status
        assert token.split("_", 2)[2] not in locked.rules.audit.read_text()
    assert trail(locked) == [("PUT /api/admin/rules", True), ("PUT /api/admin/rules", False)]


def test_what_cannot_be_noted_is_not_done(locked: World) -> None:
    locked.rules.audit.mkdir()
    rules = {"blocked": ["milk"]}
    answer = locked.http.put("/api/admin/rules", json=rules, headers=bearer(key(locked)))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert not locked.parts.curation.now.blocked
