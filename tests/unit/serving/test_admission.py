"""So many requests at work, a short queue, and a refusal that costs next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from serving.admission import Admission, Lane
from serving.telemetry import Telemetry

Ask = Callable[[str, str], Awaitable[int]]


class Slow:
    """An app whose requests end when the test says so."""

    def __init__(self) -> None:
        self.at_work = 0
        self.most = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await self.go.wait()
        finally:
            self.at_work -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})


def over(app: Slow, slots: int = 2, queue: int = 3, patience_ms: int = 10_000) -> Ask:
    """Asks through an admission; returns the status."""
    door = Admission(app, slots, queue, patience_ms, Telemetry())

    async def ask(method: str = "GET", path: str = "/api/items") -> int:
        said: list[Any] = []

        async def send(message: Any) -> None:
            said.append(message)

        scope = {"type": "http", "method": method, "path": path}
        await door(scope, None, send)  # type: ignore[arg-type]
        if said[0]["status"] == 503:
            headers = dict(said[0]["headers"])
            assert headers[b"retry-after"] == b"1"
            assert headers[b"content-type"] == b"application/problem+json"
        return int(said[0]["status"])

    return ask


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_does_not_fit_is_refused_at_once_and_the_rest_is_answered() -> None:
    async def go() -> None:
        app = Slow()
        ask = over(app)
        asked = [asyncio.create_task(ask("GET", "/api/items")) for _ in range(9)]
        await settle()
        assert (app.at_work, sum(task.done() for task in asked)) == (2, 4)
        app.go.set()
        assert sorted(await asyncio.gather(*asked)) == [200] * 5 + [503] * 4
        assert app.most == 2
        assert await ask("GET", "/api/items") == 200

    asyncio.run(go())


def test_who_waits_too_long_is_refused_and_its_place_is_free() -> None:
    async def go() -> None:
        app = Slow()
        ask = over(app, slots=1, queue=1, patience_ms=20)
        first = asyncio.create_task(ask("GET", "/api/items"))
        await settle()
        assert await ask("GET", "/api/items") == 503
        second = asyncio.create_task(ask("GET", "/api/items"))
        await settle()
        app.go.set()
        assert await asyncio.gather(first, second) == [200, 200]

    asyncio.run(go())


def test_writes_that_hang_leave_the_reads_their_slots() -> None:
    async def go() -> None:
        app = Slow()
        ask = over(app, slots=2, queue=0)
        writes = [asyncio.create_task(ask("POST", "/api/interactions")) for _ in range(4)]
        await settle()
        asked = (("GET", "/api/items"), ("POST", "/api/recommendations"))
        reads = [asyncio.create_task(ask(*one)) for one in asked]
        await settle()
        app.go.set()
        assert await asyncio.gather(*reads) == [200, 200]
        assert sorted(await asyncio.gather(*writes)) == [200, 200, 503, 503]

    asyncio.run(go())


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_an_overloaded_process_can_be_looked_at(path: str) -> None:
    async def go() -> None:
        app = Slow()
        ask = over(app, slots=1, queue=0)
        first = asyncio.create_task(ask("GET", "/api/items"))
        await settle()
        look = asyncio.create_task(ask("GET", path))
        await settle()
        app.go.set()
        assert await asyncio.gather(first, look) == [200, 200]

    asyncio.run(go())


def test_a_request_that_is_cancelled_loses_no_slot() -> None:
    async def go() -> None:
        lane = Lane(slots=1, queue=5)
        assert await lane.enter(10)
        waiting = [asyncio.create_task(lane.enter(10)) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        lane.leave()  # in the same moment, before the cancelled one has noticed
        await settle()
        assert waiting[1].result()
        waiting[2].cancel()
        await settle()
        lane.leave()
        assert await asyncio.wait_for(lane.enter(10), 1)

    asyncio.run(go())


def test_a_request_cancelled_after_its_turn_came_hands_the_slot_on() -> None:
    async def go() -> None:
        lane = Lane(slots=1, queue=5)
        assert await lane.enter(10)
        waiting = [asyncio.create_task(lane.enter(10)) for _ in range(2)]
        await settle()
        lane.leave()
        waiting[0].cancel()
        await settle()
        assert waiting[1].result()

    asyncio.run(go())
