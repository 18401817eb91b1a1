"""What happens around every request: bounds, an id, security headers, metrics, one log line."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import MutableMapping
from time import perf_counter
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import problems
from serving.logs import LOGGER, REQUEST
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)

HEADERS: Final = 64
#: Query parameters that take several values.
LISTS: Final = frozenset({b"exclude"})
CLOSE: Final = {"Connection": "close"}
#: What browsers are told with every answer. Pages here need nothing from anywhere else and no
#: inline script or style; nobody may frame them.
SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        b"form-action 'self'; frame-ancestors 'none'",
    ),
)
#: Only behind TLS: on plain HTTP browsers ignore it.
STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")


class BodyTooLarge(Exception):
    """More bytes arrived than a request may have."""


class BodyTooSlow(Exception):
    """The body was not there in time."""


class Bounds:
    """Refuses heads and bodies above their limits, announced or not, without keeping them."""

    def __init__(
        self, app: ASGIApp, head_bytes: int, body_bytes: int, body_deadline_s: float
    ) -> None:
        self._app = app
        self._head_bytes = head_bytes
        self._body_bytes = body_bytes
        self._deadline_s = body_deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(scope):
            await refusal(scope, receive, send)
            return
        try:
            await self._app(scope, self._counted(receive), send)
        except BodyTooLarge:
            await self._too_large()(scope, receive, send)
        except BodyTooSlow:
            detail = f"A request body must arrive within {self._deadline_s:g} seconds."
            await problems.response(408, detail, CLOSE)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """What the head alone is refused for."""
        headers = scope["headers"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > self._head_bytes // 2:
            detail = f"Path and query have at most {self._head_bytes // 2} bytes."
            return problems.response(414, detail, CLOSE)
        if name := _repeated(scope["query_string"]):
            return problems.response(422, f"Send `{name}` once.")
        size = sum(len(name) + len(value) for name, value in headers)
        if size > self._head_bytes or len(headers) > HEADERS:
            detail = f"A request has at most {HEADERS} headers of {self._head_bytes} bytes in all."
            return problems.response(431, detail, CLOSE)
        said = dict(headers)
        if said.get(b"content-encoding", b"identity") != b"identity":
            return problems.response(415, "Send the body without Content-Encoding.", CLOSE)
        announced = said.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._body_bytes:
            return self._too_large()
        return None

    def _counted(self, receive: Receive) -> Receive:
        seen, ends, complete = 0, time.monotonic() + self._deadline_s, False

        async def counted() -> Message:
            nonlocal seen, complete
            if complete:  # only a disconnect can still come, and no deadline is on that
                return await receive()
            try:
                async with asyncio.timeout(ends - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow from None
            complete = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > self._body_bytes:
                raise BodyTooLarge
            return message

        return counted

    def _too_large(self) -> Response:
        detail = f"A request body has at most {self._body_bytes} bytes; send a smaller batch."
        return problems.response(413, detail, CLOSE)


def _repeated(query: bytes) -> str | None:
    """A parameter that came twice though it has one value: which of them was meant?"""
    seen = set()
    for part in query.split(b"&") if b"&" in query else ():
        name = part.partition(b"=")[0]
        if name in seen and name not in LISTS:
            return name.decode("ascii", "replace")[:64]
        seen.add(name)
    return None


class Caught:
    """Makes a bug a 500 here, inside of what gives every answer its headers, and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if begun or scope["type"] != "http":
                raise  # too late for an answer: the server ends the connection, and logs it
            log.exception("unexpected")
            await problems.unexpected()(scope, receive, send)


class Observed:
    """Counts, times and logs every request, and gives it an id."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        REQUEST.set(request_id)
        started = perf_counter()
        status = 500

        async def observed(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    *SECURITY_HEADERS,
                    *((STRICT_TRANSPORT,) if scope["scheme"] == "https" else ()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            self._record(scope, status, perf_counter() - started, request_id)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._telemetry.requests.labels(route, scope["method"], status).inc()
        self._telemetry.seconds.labels(route).observe(seconds)
        fields = {
            "request": request_id,
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(seconds * 1_000, 2),
        }
        log.info("request", extra={"fields": fields})
