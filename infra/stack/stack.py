"""The whole stack of one home: starts all services side by side, stops them, reports on them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from threading import Event
from typing import Any, Final

from feature_store.settings import Settings
from infra.stack.cassandra import Cassandra
from infra.stack.errors import StackError
from infra.stack.flink import JobManager, TaskManager
from infra.stack.flink_conf import flink_environment
from infra.stack.home import Home
from infra.stack.interrupts import uninterrupted
from infra.stack.kafka import Kafka
from infra.stack.lifecycle import State, pid_file, start, state, stop, wait_until_ready
from infra.stack.mlflow import MLflow
from infra.stack.ports import LOOPBACK, load_ports
from infra.stack.prerequisites import java_home, require_room
from infra.stack.process import members, recall, resident_bytes
from infra.stack.redis import Redis
from infra.stack.service import Service
from infra.stack.serving import Serving
from infra.stack.supervisor import Supervisor

SERVICES: Final[tuple[type[Service], ...]] = (
    Kafka,
    Redis,
    Cassandra,
    JobManager,
    TaskManager,
    MLflow,
    Serving,
    Supervisor,
)
DEFAULTS: Final = {
    "MILLRACE_NAMESPACE": "millrace",
    # As long as a store keeps day tiles: the local stack replays two months at once.
    "MILLRACE_HORIZON_HOURS": "1536",
    "MILLRACE_FEATURES": "feature_store.features",
    "MILLRACE_EPOCH": "0",
    "MILLRACE_TRACES": "",
}
Progress = Callable[[str, str], None]


def silent(service: str, what: str) -> None:
    """The progress of somebody who does not watch."""


@dataclass(frozen=True, slots=True)
class Report:
    """One line of `millrace status`."""

    name: str
    state: State
    port: int | None
    resident_mib: int
    link: str
    metrics: str
    pid: int | None


@dataclass(frozen=True)
class Stack:
    """The services of one home."""

    home: Home

    @classmethod
    def from_environment(cls) -> Stack:
        """The stack that `MILLRACE_HOME` names."""
        return cls(Home.from_environment())

    @cached_property
    def ports(self) -> Mapping[str, int]:
        """The ports of this home, picked at the first use."""
        return load_ports(self.home.root / "ports.json", familiar=self.home.is_default)

    def environment(self) -> dict[str, str]:
        """What every process of the deployment must know (`millrace env` prints it)."""
        at = {name: f"{LOOPBACK}:{port}" for name, port in self.ports.items()}
        chosen = {name: os.environ.get(name, default) for name, default in DEFAULTS.items()}
        return {
            "MILLRACE_HOME": str(self.home.root),
            "MILLRACE_KAFKA": at["kafka"],
            "MILLRACE_REDIS": f"redis://{at['redis']}/0",
            "MILLRACE_CASSANDRA": at["cassandra"],
            "MILLRACE_MLFLOW": f"http://{at['mlflow']}",
            "MILLRACE_FLINK": f"http://{at['flink']}",
            "MILLRACE_SERVING": f"http://{at['serving']}",
            "MILLRACE_LAKE": str(self.home.lake),
            "MILLRACE_BUNDLES": str(self.home.bundles),
            **chosen,
            "MLFLOW_TRACKING_URI": f"http://{at['mlflow']}",
            "JAVA_HOME": str(java_home()),
            **flink_environment(self.home),
            "PATH": os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", ""))),
        }

    def settings(self) -> Settings:
        """The same as a process of the deployment reads it."""
        told: dict[str, Any] = {**self.environment()}
        names = {field: f"MILLRACE_{field.upper()}" for field in Settings.model_fields}
        return Settings(**{field: told[name] for field, name in names.items() if name in told})

    def children_environment(self) -> dict[str, str]:
        """The whole environment of a child process that is no service."""
        return {**os.environ, **self.environment()}

    def service(self, name: str) -> Service:
        """The service called `name`; raises `StackError` for an unknown name."""
        for kind in SERVICES:
            if kind.name == name:
                return kind(self.home, self.ports, self.environment())
        known = ", ".join(kind.name for kind in SERVICES)
        raise StackError(f"There is no service called {name}; there are {known}.")

    def services(self, names: Collection[str] = ()) -> list[Service]:
        """The services called `names`, or all."""
        return [self.service(name) for name in names or [kind.name for kind in SERVICES]]

    def up(self, names: Collection[str] = (), progress: Progress = silent) -> None:
        """Start what does not run and wait until all answers; on failure stop what was started."""
        require_room(self.home.root)
        self.home.create()
        services = self.services(names)
        given_up = Event()
        started: list[Service] = []

        def bring_up(service: Service) -> None:
            begun = time.monotonic()
            if not given_up.is_set() and start(service):
                started.append(service)
                progress(service.name, "starting")
            wait_until_ready(service, given_up.is_set)
            if not given_up.is_set():
                service.on_ready()
                progress(service.name, f"ready after {time.monotonic() - begun:.1f} s")

        with ThreadPoolExecutor(len(services)) as pool:
            try:
                tasks = [pool.submit(bring_up, service) for service in services]
                done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
                for task in done:
                    task.result()
            except BaseException:
                with uninterrupted():
                    given_up.set()
                    pool.shutdown()
                    self._stop(started, progress)
                raise

    def down(self, names: Collection[str] = (), progress: Progress = silent) -> None:
        """Stop the services and whatever they left behind."""
        with uninterrupted():
            self._stop(self.services(names), progress)

    def status(self) -> list[Report]:
        """How each service is."""
        services = self.services()
        with ThreadPoolExecutor(len(services)) as pool:
            return list(pool.map(_report, services))

    def resident_mib(self) -> int:
        """Resident memory of the whole stack."""
        return resident_bytes(members(self.home.root)) // 2**20

    def _stop(self, services: list[Service], progress: Progress) -> None:
        for rank in sorted({service.stop_rank for service in services}):
            tier = [service for service in services if service.stop_rank == rank]
            with ThreadPoolExecutor(len(tier)) as pool:
                for service, ran in zip(tier, pool.map(stop, tier), strict=True):
                    progress(service.name, "stopped" if ran else "was not running")


def _report(service: Service) -> Report:
    processes = members(service.home.root, service.name)
    process = recall(pid_file(service))
    return Report(
        service.name,
        state(service),
        service.port,
        resident_bytes(processes) // 2**20,
        service.link,
        service.metrics,
        process.pid if process else None,
    )
