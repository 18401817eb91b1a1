"""Starts one service, waits until it answers, stops it, and says in which state it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

from infra.stack import ports
from infra.stack.errors import StackError
from infra.stack.files import locked
from infra.stack.process import (
    HOME_MARK,
    SERVICE_MARK,
    kill_all,
    members,
    recall,
    remember,
    spawn,
)
from infra.stack.service import Service

LOG_LIMIT: Final = 50 * 2**20
START_LINE: Final = "==== millrace starts this service"


class State(StrEnum):
    """What a person sees in `millrace status`."""

    READY = "ready"
    BUSY = "not answering"
    DEAD = "dead"
    STOPPED = "stopped"


def pid_file(service: Service) -> Path:
    """It exists for as long as the service is wanted, whether or not it is alive."""
    return service.home.run / f"{service.name}.pid"


def is_alive(service: Service) -> bool:
    """Whether the process of the service runs."""
    process = recall(pid_file(service))
    return process is not None and process.alive()


def state(service: Service) -> State:
    """Stopped on purpose, dead, alive without an answer, or ready."""
    if recall(pid_file(service)) is None:
        return State.STOPPED
    if not is_alive(service):
        return State.DEAD
    return State.READY if service.answers() else State.BUSY


def start(service: Service, only_if_wanted: bool = False) -> bool:
    """Start the service unless it runs; returns whether this call started it.

    With `only_if_wanted` (the supervisor's way) a service stopped on purpose stays stopped.
    """
    with locked(service.home.run / f"{service.name}.lock"):
        if is_alive(service) or (only_if_wanted and not pid_file(service).exists()):
            return False
        kill_all(members(service.home.root, service.name))
        for name in service.ports_used:
            ports.require_free(name, service.ports[name])
        service.prepare()
        _open_log(service.log)
        process = spawn(service.command(), _environment(service), service.log, service.nice)
        remember(pid_file(service), process)
    return True


def wait_until_ready(service: Service, given_up: Callable[[], bool] = lambda: False) -> None:
    """Return when the service answers; raises `StackError` when it dies or takes too long."""
    deadline = time.monotonic() + service.start_patience_s
    while not given_up():
        if not is_alive(service):
            raise StackError(_obituary(service, "ended while it was starting"))
        if service.answers():
            return
        if time.monotonic() > deadline:
            patience = f"did not answer within {service.start_patience_s:.0f} s"
            raise StackError(_obituary(service, patience))
        time.sleep(0.2)


def stop(service: Service) -> bool:
    """Stop the service and all it started, on purpose; returns whether anything ran."""
    with locked(service.home.run / f"{service.name}.lock"):
        process = recall(pid_file(service))
        # First the intention: from here on the supervisor leaves this service alone.
        pid_file(service).unlink(missing_ok=True)
        ran = process is not None and process.alive()
        if process is not None:
            process.end(service.stop_patience_s)
        left = members(service.home.root, service.name)
        kill_all(left)
    return ran or bool(left)


def _environment(service: Service) -> dict[str, str]:
    return {
        **os.environ,
        **service.environment,
        **service.extra_environment(),
        HOME_MARK: str(service.home.root),
        SERVICE_MARK: service.name,
    }


def _open_log(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("a") as handle:
        handle.write(f"{START_LINE} {time.strftime('%Y-%m-%d %H:%M:%S')}\n")


def _obituary(service: Service, what: str) -> str:
    line = telling_line(_since_start(service.log))
    said = f"; its last words: {line.rstrip('.')}" if line else ""
    return f"{service.name} {what}{said}. The whole story is in {service.log}."


def _since_start(log: Path) -> str:
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - 64_000))
        text = handle.read().decode(errors="replace")
    return text.rpartition(START_LINE)[2].partition("\n")[2]


def telling_line(text: str) -> str:
    """The line of a log that most likely says why: the last error, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    prose = [line for line in lines if not line.startswith(("at ", "File ", "... "))]
    marks = ("error", "exception", "fatal", "cannot", "can't", "caused by")
    blamed = [line for line in prose if any(mark in line.lower() for mark in marks)]
    return (blamed or prose or [""])[-1][:300]
