"""A Redis server of one test, which may do with it what it likes."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import redis

from feature_store.settings import DEFAULT_NAMESPACE, Settings
from infra.stack.ports import LOOPBACK
from infra.stack.prerequisites import redis_server


@dataclass
class RedisServer:
    """One server process; `kill` and `start` keep the port."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def started(cls, directory: Path) -> RedisServer:
        """A running server on a free port that keeps nothing."""
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            server = cls(directory, int(probe.getsockname()[1]))
        server.start()
        return server

    @property
    def settings(self) -> Settings:
        """Settings that know this server and no other part of a stack."""
        return Settings(redis=f"redis://{LOOPBACK}:{self.port}/0", namespace=DEFAULT_NAMESPACE)

    @property
    def client(self) -> redis.Redis:
        """A client for the test's own hand in it."""
        return redis.Redis(host=LOOPBACK, port=self.port, decode_responses=True)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = ("--bind", LOOPBACK, "--port", str(self.port), "--save", "")
        self.process = subprocess.Popen(
            [redis_server(), *options, "--dir", str(self.directory)], stdout=subprocess.DEVNULL
        )
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.02)
        raise TimeoutError("redis-server does not answer")

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        if self.process:
            self.process.kill()
            self.process.wait()
