"""Once the process is told to end, answers close their connections and nobody new is sent here."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from serving.drain import Drain
from tests.unit.serving.world import World


@pytest.mark.parametrize("path", ["/api/recommendations/ann", "/health/live", "/api/nothing"])
def test_answers_close_their_connection_once_the_drain_has_begun(world: World, path: str) -> None:
    assert "connection" not in world.http.get(path).headers
    world.parts.drain.begun = True
    assert world.http.get(path).headers["connection"] == "close"


def test_a_process_that_ends_lives_but_is_not_ready(world: World) -> None:
    world.parts.drain.begun = True
    assert world.http.get("/health/live").status_code == 200
    ready = world.http.get("/health/ready")
    assert ready.status_code == 503
    assert "ending" in ready.json()["detail"]
    assert "retry-after" in ready.headers


@pytest.mark.parametrize("signals", [1, 2])
def test_the_server_gets_the_first_signal_late_and_a_second_one_at_once(signals: int) -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: got.append(number))
    drain = Drain(seconds=0.05 if signals == 1 else 60)

    async def end() -> None:
        drain.watch(asyncio.get_running_loop())
        os.kill(os.getpid(), signal.SIGTERM)
        assert drain.begun
        assert not got
        if signals == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        while not got:
            await asyncio.sleep(0.01)

    try:
        asyncio.run(asyncio.wait_for(end(), 10))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == [signal.SIGTERM]
