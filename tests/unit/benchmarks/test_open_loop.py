"""The load generator keeps its pace, counts waiting from when a request was due, and judges."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.open_loop import Load, drive, get

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """The port of a server that keeps connections alive."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    try:
        yield running.server_address[1]
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, *headers: str) -> None:
    handler.send_response(status)
    for name in headers:
        handler.send_header(name, "1")
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


def load_of(answer: Answer, rate: float = 40, seconds: float = 0.5) -> Load:
    with server(answer) as port:
        return drive(port, rate, seconds, itertools.repeat(get("/")))


def test_every_request_is_sent_and_answered() -> None:
    load = load_of(lambda handler: reply(handler, 200))
    assert load.good == load.sent == 20
    assert not load.failed


def test_waiting_counts_from_when_a_request_was_due() -> None:
    one_at_a_time = threading.Lock()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        with one_at_a_time:
            time.sleep(0.05)
            reply(handler, 200)

    load = load_of(slow)
    assert load.good == load.sent
    assert load.ms(100) > 400, "the last of 20 requests waited for those before it"


def test_a_refusal_that_says_when_to_come_again_is_no_failure() -> None:
    assert load_of(lambda handler: reply(handler, 503, "Retry-After")).failed == 0
    assert load_of(lambda handler: reply(handler, 503)).failed == 20
    assert load_of(lambda handler: reply(handler, 500)).failed == 20
