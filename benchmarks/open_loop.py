"""Open-loop load on an HTTP server: requests leave when they are due, whatever happens to others.

Latency counts from the moment a request was due, so a server that stalls pays for all who wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, cast

import httptools
import numpy as np

#: A request that has no connection yet waits for one; more than this are opened to no server.
CONNECTIONS: Final = 256
#: How long after the last request answers are waited for.
GRACE_S: Final = 5.0
#: A refusal that is not a failure: the server says to come again.
REFUSED: Final = (429, 503)


@dataclass
class Load:
    """What came of one stretch of load; `cpu_s` is the server's processor time, if asked for."""

    rate: float
    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    finished_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def sent(self) -> int:
        """Requests that were due."""
        return int(self.rate * self.seconds)

    @property
    def good(self) -> int:
        """Requests answered with 200."""
        return self.statuses[200]

    @property
    def goodput(self) -> float:
        """Good answers a second, over the time until the last one came."""
        return self.good / max(self.seconds, self.finished_s)

    @property
    def failed(self) -> int:
        """Answers of 500 and above that do not say to come again, and requests without any."""
        answered = sum(self.statuses.values())
        wrong = sum(n for status, n in self.statuses.items() if status >= 500 and status != 503)
        return wrong + self.without_retry_after + self.sent - answered

    def ms(self, percentile: float) -> float:
        """A percentile of the latencies of good answers, in ms."""
        if not self.latencies:
            return float("inf")
        return round(float(np.percentile(self.latencies, percentile)) * 1_000, 2)


class _Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request on its way."""

    def __init__(self, crew: _Crew) -> None:
        self._crew = crew
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is one, but does not inherit from it.
        self.transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self._crew.free(self)

    def ask(self, due: float, request: bytes) -> None:
        """Sends a request that was due at that moment of the loop's clock."""
        self._due, self._retry = due, False
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, _: bytes) -> None:
        self._retry |= name.lower() == b"retry-after"

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._crew.answered(status, self._due, self._retry)
        if self._parser.should_keep_alive():
            self._parser = httptools.HttpResponseParser(self)
            self._crew.free(self)
        else:
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self._crew.lost(self)


class _Crew:
    """The connections of one stretch, and the requests that wait for one."""

    def __init__(self, load: Load, host: str, port: int) -> None:
        self._load = load
        self._address = host, port
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._open = 0
        self._begun = time.monotonic()

    def due(self, moment: float, request: bytes) -> None:
        """Sends a request now, or as soon as there is a connection."""
        if self._idle:
            self._idle.popleft().ask(moment, request)
            return
        self._waiting.append((moment, request))
        if self._open < CONNECTIONS:
            self._open += 1
            asyncio.get_running_loop().create_task(self._connect())

    def free(self, connection: _Connection) -> None:
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def answered(self, status: int, due: float, retry_after: bool) -> None:
        now = time.monotonic()
        self._load.statuses[status] += 1
        self._load.finished_s = now - self._begun
        if status == 200:
            self._load.latencies.append(now - due)
        self._load.without_retry_after += status in REFUSED and not retry_after

    def lost(self, connection: _Connection) -> None:
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Connection(self), *self._address)
        except OSError:
            self._open -= 1


async def _drive(load: Load, port: int, requests: Iterator[bytes]) -> None:
    crew = _Crew(load, "127.0.0.1", port)
    begun = time.monotonic()
    for number in range(load.sent):
        due = begun + number / load.rate
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        crew.due(due, next(requests))
    ends = time.monotonic() + GRACE_S
    while sum(load.statuses.values()) < load.sent and time.monotonic() < ends:
        await asyncio.sleep(0.02)


def drive(port: int, rate: float, seconds: float, requests: Iterator[bytes]) -> Load:
    """Sends `rate` requests a second for so long, on time, and waits a little for the answers."""
    load = Load(rate, seconds)
    with asyncio.Runner(loop_factory=_loop()) as runner:
        runner.run(_drive(load, port, requests))
    return load


def get(path: str, headers: str = "") -> bytes:
    """A GET as it goes over the wire; `headers` are whole lines."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()


def _loop() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    return uvloop.new_event_loop
