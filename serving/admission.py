"""Admission: at most so many requests at work, a few waiting briefly, the rest refused at once."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.middleware import SECURITY_HEADERS
from serving.problems import MEDIA_TYPE, body
from serving.telemetry import Telemetry

#: Orchestrators and Prometheus must see an overloaded process, so these are never refused.
ALWAYS: Final = ("/health/", "/metrics")
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: Where a POST asks and writes nothing.
ASKS: Final = "/recommendations"
RETRY_AFTER_S: Final = 1
BODY: Final = body(503, "Too many requests are at work here. Try again after Retry-After seconds.")
#: Made once: under overload most answers are this one, and each takes time from a real one.
REFUSAL: Final[tuple[Message, Message]] = (
    {
        "type": "http.response.start",
        "status": 503,
        "headers": [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(BODY)).encode()),
            (b"retry-after", str(RETRY_AFTER_S).encode()),
            *SECURITY_HEADERS,
        ],
    },
    {"type": "http.response.body", "body": BODY},
)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """The refusal as an app, for what has to be put around it."""
    start, said = REFUSAL
    await send({**start, "headers": list(start["headers"])})
    await send(said)


class Lane:
    """Slots, and a short queue for them, first come, first served."""

    def __init__(self, slots: int, queue: int) -> None:
        self._free = slots
        self._queue = queue
        self._waiting: deque[asyncio.Future[bool]] = deque()

    async def enter(self, patience_s: float) -> bool:
        """Whether a slot was to be had in time; who got one must `leave`."""
        if self._free:
            self._free -= 1
            return True
        if len(self._waiting) >= self._queue:
            return False
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(turn)
        too_late = loop.call_later(patience_s, self._give_up, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            self._withdraw(turn)
            raise
        finally:
            too_late.cancel()

    def leave(self) -> None:
        """Hands the slot to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else its request was cancelled this moment
                turn.set_result(True)
                return
        self._free += 1

    def _give_up(self, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            self._waiting.remove(turn)
            turn.set_result(False)

    def _withdraw(self, turn: asyncio.Future[bool]) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled() and turn.result():
            self.leave()


class Admission:
    """Two lanes, so that writes which wait for Kafka leave the reads their slots."""

    def __init__(
        self, app: ASGIApp, slots: int, queue: int, patience_ms: int, telemetry: Telemetry,
        refusal: ASGIApp = refuse,
    ) -> None:  # fmt: skip
        self._app = app
        self._refusal = refusal
        self._patience_s = patience_ms / 1_000
        self._reads, self._writes = Lane(slots, queue), Lane(slots, queue)
        self._refused = telemetry.turned_away.labels("overload")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(ALWAYS):
            await self._app(scope, receive, send)
            return
        writes = scope["method"] in WRITES and not scope["path"].endswith(ASKS)
        lane = self._writes if writes else self._reads
        if not await lane.enter(self._patience_s):
            self._refused.inc()
            await self._refusal(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            lane.leave()
