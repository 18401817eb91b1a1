"""Stands between the proxy and MLflow, and spoils the files of a bundle on their way."""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

#: Where MLflow hands out files; all else is its registry.
FILES: Final = "/api/2.0/mlflow-artifacts/artifacts/"
#: Of one connection, and not of what it carries; a length is counted anew.
HOP: Final = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})
#: A dribble: so many bytes, so often (s). A file of a few kB takes minutes.
DROP: Final = 64
DROP_S: Final = 0.5
HELD_S: Final = 60.0


class Spoilt(StrEnum):
    """What becomes of a file."""

    NOT = "sound"
    ERROR = "answered with 500"
    GONE = "gone"
    CUT = "cut in the middle"
    SHORT = "truncated"
    GARBLED = "garbled"
    DRIBBLES = "dribbling"


SPOILT: Final = tuple(how for how in Spoilt if how is not Spoilt.NOT)


class Artefacts(ThreadingHTTPServer):
    """An HTTP server in threads of its own that asks MLflow (`host:port`) for everything."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Between)
        self.target = target
        self.how = Spoilt.NOT
        #: How many files were spoilt: the proof that it injects.
        self.hurt = 0
        self.asked = threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()
        threading.Thread(target=self.serve_forever, name="artefacts", daemon=True).start()

    @property
    def address(self) -> str:
        """Where MLflow seems to be."""
        return f"127.0.0.1:{self.server_port}"

    @contextmanager
    def fault(self, how: Spoilt) -> Iterator[None]:
        """Every file, until left."""
        self.how = how
        try:
            yield
        finally:
            self.how = Spoilt.NOT

    @contextmanager
    def held(self) -> Iterator[None]:
        """Files that are asked for wait until it is left; `asked` says that one was."""
        self.asked.clear()
        self.goes_on.clear()
        try:
            yield
        finally:
            self.goes_on.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that the proxy in front has cut is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Ends."""
        self.goes_on.set()
        self.shutdown()
        self.server_close()


class _Between(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Artefacts

    def do_GET(self) -> None:
        """Whatever it is."""
        status, headers, body = self._ask()
        how = self.server.how if self.path.startswith(FILES) else Spoilt.NOT
        if self.path.startswith(FILES):
            self.server.asked.set()
            self.server.goes_on.wait(HELD_S)
        self.server.hurt += how is not Spoilt.NOT
        match how:
            case Spoilt.ERROR:
                status, body = 500, b'{"error_code": "INTERNAL_ERROR"}'
            case Spoilt.GONE:
                status, body = 404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'
            case Spoilt.SHORT:
                body = body[: len(body) // 2]
            case Spoilt.GARBLED:
                body = bytes(byte ^ 0x55 for byte in body)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        match how:
            case Spoilt.CUT:
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            case Spoilt.DRIBBLES:
                self._dribble(body)
            case _:
                self.wfile.write(body)

    do_POST = do_PATCH = do_DELETE = do_GET

    def _ask(self) -> tuple[int, list[tuple[str, str]], bytes]:
        said = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        behind = http.client.HTTPConnection(self.server.target, timeout=60)
        try:
            behind.request(self.command, self.path, said or None, dict(self.headers))
            answer = behind.getresponse()
            body = answer.read()
        finally:
            behind.close()
        return answer.status, [h for h in answer.getheaders() if h[0].lower() not in HOP], body

    def _dribble(self, body: bytes) -> None:
        """Until it is over, or healed."""
        for begin in range(0, len(body), DROP):
            self.wfile.write(body[begin : begin + DROP])
            if self.server.how is Spoilt.DRIBBLES:
                time.sleep(DROP_S)

    def log_message(self, *_: object) -> None:
        """Says nothing."""
