"""The small shop behind a real socket, and a way to send it any bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import uvicorn

from serving.wire import BoundedProtocol
from tests.unit.serving.world import World

PATIENCE_S = 15.0


@dataclass(frozen=True)
class Answer:
    """What came back on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def listening(world: World) -> Iterator[int]:
    """The port on which the world's app is served as the stack serves it."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        world.http.app, http=BoundedProtocol, ws="none", lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listener.close()


def send(port: int, request: bytes) -> Answer:
    """Sends bytes as they are; the first answer, or status 0 for a connection closed without."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as wire:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has all
            wire.sendall(request)
        return _parse(_received(wire))


def _received(wire: socket.socket) -> bytes:
    got = b""
    with suppress(ConnectionResetError):
        while not _whole(got) and (chunk := wire.recv(65_536)):
            got += chunk
    return got


def _whole(got: bytes) -> bool:
    head, found, body = got.partition(b"\r\n\r\n")
    if not found:
        return False
    length = _headers(head).get("content-length", "")
    return length.isdigit() and len(body) >= int(length)


def _parse(got: bytes) -> Answer:
    if not got:
        return Answer(0, {}, b"")
    head, _, body = got.partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ", 2)[1]), _headers(head), body)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.lower(): value.strip() for name, _, value in pairs}
