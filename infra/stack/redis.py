"""The hot store: one Redis server."""

from __future__ import annotations

from typing import ClassVar

from infra.stack.ports import LOOPBACK
from infra.stack.prerequisites import redis_server
from infra.stack.service import Service


class Redis(Service):
    """Redis with a log of its writes, so that a killed one comes back whole."""

    name: ClassVar[str] = "redis"
    ports_used: ClassVar[tuple[str, ...]] = ("redis",)

    @property
    def link(self) -> str:
        """The URL clients take."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def prepare(self) -> None:
        """Make its directory."""
        redis_server()
        self.data.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """A server that has handed its log of changes to the kernel before it answers.

        That survives kill -9, not a power cut. With `everysec` it may put off the write itself
        for two seconds while a sync is slow, and a kill then loses what it acknowledged; with
        `always` each turn of its loop waits for the disk. Its title stays as it was started.
        """
        options = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.data),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "no",
            "set-proc-title": "no",
        }
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        return [redis_server(), *arguments]

    def answers(self) -> bool:
        """PING is answered by PONG (and not by LOADING)."""
        if not self.listens():
            return False
        import redis

        client = redis.Redis(host=LOOPBACK, port=self.port or 0, socket_timeout=1)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
