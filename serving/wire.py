"""The edge of the process: uvicorn's HTTP parser, with an end to what it takes in before a request.

uvicorn has no limit of its own on the bytes of a request line and headers, or on the time they
take. Given to it as `http=`: `millrace serve` and the stack do that.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.problems import MEDIA_TYPE, body

#: More than any real request has. `ServingSettings.max_head_bytes` is stricter, and says which.
HEAD_BYTES: Final = 65_536
#: A connection that has not sent a whole head by then is closed.
HEAD_S: Final = 10.0


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose request line and headers are too long or too slow in coming."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._head = 0
        self._in_head = False
        self._too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._too_slow = self.loop.call_later(HEAD_S, self._refuse_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        goes_on = self._in_head
        super().data_received(data)
        if not self._in_head:
            return
        self._head += len(data) if goes_on else 0
        if self._head > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too long.")
        elif self._too_slow is None:
            self._too_slow = self.loop.call_later(HEAD_S, self._refuse_slow)

    def on_message_begin(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._calm()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read, as a problem like any other."""
        self._refuse(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request that can be read.")

    def _refuse_slow(self) -> None:
        self._too_slow = None
        if self._in_head:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The headers took over {HEAD_S:g} s.")
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        if self.transport.is_closing():
            return
        said = body(status, detail)
        head = (
            f"HTTP/1.1 {status:d} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(said)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + said)
        self.transport.close()

    def _calm(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None
