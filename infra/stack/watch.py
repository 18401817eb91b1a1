"""The supervisor's loop: what was killed is started again, and Flink jobs that vanished too."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Final

from infra.stack.jobs import latest, resubmit
from infra.stack.lifecycle import is_alive, pid_file, start
from infra.stack.service import Service
from infra.stack.stack import Stack
from infra.stack.supervisor import Supervisor, heartbeat
from infra.stack.wanted import Wanted, wanted

ROUND_S: Final = 1.0
GONE_FOR_S: Final = 3.0
LONGEST_PAUSE_S: Final = 30.0

_said: list[str] = []


@dataclass
class Patience:
    """Doubles the pause between attempts that fail, so that a broken thing is not hammered."""

    pauses: dict[str, float] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)

    def allows(self, name: str) -> bool:
        """Whether the next attempt is due."""
        return time.monotonic() >= self.not_before.get(name, 0)

    def attempted(self, name: str) -> None:
        """Count an attempt."""
        pause = min(self.pauses.get(name, 0.5) * 2, LONGEST_PAUSE_S)
        self.pauses[name] = pause
        self.not_before[name] = time.monotonic() + pause

    def succeeded(self, name: str) -> None:
        """Forgive, once the thing has outlived its last pause."""
        if self.allows(name):
            self.pauses.pop(name, None)


def watch(stack: Stack) -> None:
    """Watch the services here and the jobs in a thread of their own, for ever."""
    services = [service for service in stack.services() if service.name != Supervisor.name]
    threading.Thread(target=_watch_jobs, args=(stack,), daemon=True).start()
    patience = Patience()
    while True:
        for service in services:
            _look_after(service, patience)
        heartbeat(stack.home).touch()
        time.sleep(ROUND_S)


def _look_after(service: Service, patience: Patience) -> None:
    if not pid_file(service).exists():
        return
    if is_alive(service):
        patience.succeeded(service.name)
    elif patience.allows(service.name):
        patience.attempted(service.name)
        try:
            if start(service, only_if_wanted=True):
                _say(f"{service.name} was dead and is started again")
        except Exception as failure:  # a supervisor that dies of a surprise watches nothing
            _say(f"{service.name}: {failure}")


def _watch_jobs(stack: Stack) -> None:
    patience = Patience()
    missing_since: dict[str, float] = {}
    while True:
        for job in _wanted(stack):
            try:
                _look_after_job(stack, job, missing_since, patience)
            except Exception as failure:  # a supervisor that dies of a surprise watches nothing
                # Time passes for a job only while the cluster can be asked about it.
                missing_since.pop(job.title, None)
                _say(f"{job.title}: {failure}")
        time.sleep(ROUND_S)


def _wanted(stack: Stack) -> list[Wanted]:
    try:
        return wanted(stack.home)
    except (OSError, ValueError) as failure:
        _say(f"the list of wanted jobs cannot be read: {failure}")
        return []


def _look_after_job(
    stack: Stack, job: Wanted, missing_since: dict[str, float], patience: Patience
) -> None:
    known = latest(stack, job.title)
    if known is not None and not known.lost:
        missing_since.pop(job.title, None)
        patience.succeeded(job.title)
        return
    since = missing_since.setdefault(job.title, time.monotonic())
    ready = stack.service("flink-taskmanager").answers()
    if time.monotonic() - since > GONE_FOR_S and ready and patience.allows(job.title):
        patience.attempted(job.title)
        if resubmit(stack, job):
            _say(f"{job.title} had vanished and is submitted again")


def _say(what: str) -> None:
    if _said[-1:] != [what]:  # once is enough for what stays wrong
        print(time.strftime("%H:%M:%S"), what, flush=True)
        _said[:] = [what]
