"""The end of the process: it says that it ends, and stops only when the clients have heard.

A server that closes an idle connection in the moment in which a client sends a request on it leaves
that client without an answer. So SIGTERM first turns readiness to 503 and puts `Connection: close`
on every answer; clients come back on other connections, and soon to other processes. Only then
does the server get the signal.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLOSE: Final = (b"connection", b"close")


class Drain:
    """Stands between SIGTERM and the server for `seconds`; a second SIGTERM ends it at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stop: Callable[[int, FrameType | None], object] | None = None
        self.begun = False

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Takes the signal from the server that runs on `loop`, if it has one and takes it."""
        if threading.current_thread() is not threading.main_thread():
            return  # a server in a thread is not stopped by signals
        handler = signal.getsignal(signal.SIGTERM)
        if callable(handler):
            self._stop, self._loop = handler, loop
            signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        assert self._stop is not None
        if self.begun:
            self._stop(number, frame)
            return
        self.begun = True
        self._loop.call_soon_threadsafe(
            self._loop.call_later, self._seconds, self._stop, number, None
        )


class Closing:
    """The outermost layer: every answer closes its connection once the drain has begun."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if self._drain.begun and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), CLOSE]}
            await send(message)

        await self._app(scope, receive, closing if scope["type"] == "http" else send)
