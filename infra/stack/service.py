"""What the stack needs to know of one service: how it is prepared, started and asked for life."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from infra.stack.home import Home
from infra.stack.ports import LOOPBACK


@dataclass(frozen=True)
class Service(ABC):
    """One service of the stack in `home`; `environment` is what every child process gets."""

    name: ClassVar[str]
    ports_used: ClassVar[tuple[str, ...]] = ()
    start_patience_s: ClassVar[float] = 180
    stop_patience_s: ClassVar[float] = 10
    # Lower ones stop first: who watches, then who writes, then the stores that are written to.
    stop_rank: ClassVar[int] = 2
    # Above 0 for what may wait while a click is on its way.
    nice: ClassVar[int] = 0

    home: Home
    ports: Mapping[str, int]
    environment: Mapping[str, str] = field(repr=False)

    @property
    def port(self) -> int | None:
        """The port a client uses; None for a service nobody calls."""
        return self.ports[self.ports_used[0]] if self.ports_used else None

    @property
    def link(self) -> str:
        """What a person opens or connects to."""
        return f"{LOOPBACK}:{self.port}" if self.port else ""

    @property
    def metrics(self) -> str:
        """Where Prometheus scrapes it; empty for a service that counts nothing."""
        return ""

    @property
    def log(self) -> Path:
        """Where the service's output goes."""
        return self.home.log(self.name)

    @property
    def data(self) -> Path:
        """What the service keeps between runs."""
        return self.home.data(self.name)

    @property
    def conf(self) -> Path:
        """The configuration written for the service."""
        return self.home.conf(self.name)

    def prepare(self) -> None:  # noqa: B027 - optional
        """Write configuration and check what must be there; raises `StackError`."""

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    def extra_environment(self) -> dict[str, str]:
        """Variables for this service alone."""
        return {}

    @abstractmethod
    def answers(self) -> bool:
        """Whether it does its work now: a real request, in about a second at most."""

    def on_ready(self) -> None:  # noqa: B027 - optional
        """What `up` does once the service answers; doing it again changes nothing."""

    def listens(self) -> bool:
        """Whether the port accepts connections: the cheap question before the real one."""
        try:
            socket.create_connection((LOOPBACK, self.port or 0), timeout=0.5).close()
        except OSError:
            return False
        return True
