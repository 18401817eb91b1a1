"""The local Redis comes back from kill -9 with everything that it acknowledged."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from infra.stack.home import Home
from infra.stack.ports import LOOPBACK
from infra.stack.redis import Redis

KILLS, WRITES = 5, 20


def service(root: Path) -> Redis:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = int(probe.getsockname()[1])
    made = Redis(Home(root), {"redis": port}, {})
    made.prepare()
    return made


@contextmanager
def running(redis_service: Redis) -> Iterator[redis.Redis]:
    """A client of the service, which is killed at the end."""
    process = subprocess.Popen(redis_service.command(), stdout=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + 20
        while not redis_service.answers():
            assert time.monotonic() < ends, "redis-server does not answer"
            time.sleep(0.02)
        yield redis.Redis(host=LOOPBACK, port=redis_service.port or 0)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_a_killed_redis_has_what_it_acknowledged(tmp_path: Path) -> None:
    hot, acknowledged = service(tmp_path), 0
    for _ in range(KILLS):
        with running(hot) as client:
            assert int(client.get("n") or 0) == acknowledged
            for _ in range(
                WRITES
            ):  # each as large as a batch of the stream, so that the disk works
                pipe = client.pipeline(transaction=False)
                for number in range(500):
                    pipe.set(f"k{number}", "v" * 400)
                acknowledged = int(pipe.incr("n").execute()[-1])
