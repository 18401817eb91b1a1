"""Starts, recognises and ends processes by id, never mistaking a recycled id for its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from infra.stack.files import write_atomically

# These two name, in the environment of every child, the stack and the service it belongs to:
# what is left of a killed service (a Python worker of Flink) is found by them.
HOME_MARK: Final = "MILLRACE_HOME"
SERVICE_MARK: Final = "MILLRACE_SERVICE"

_children: list[subprocess.Popen[bytes]] = []  # kept, so that the dead ones can be reaped


@dataclass(frozen=True, slots=True)
class Process:
    """A process id with its start time (seconds since the epoch): together they are unique."""

    pid: int
    started: float

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        _reap()
        try:
            process = psutil.Process(self.pid)
            # The system derives start times from the boot time, which may shift a little.
            same = abs(process.create_time() - self.started) < 2
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def end(self, grace_s: float) -> None:
        """Ask it to end, and kill it when it has not after `grace_s` seconds."""
        if self.alive():
            self._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while self.alive():
            if time.monotonic() > deadline:
                self._signal(signal.SIGKILL)
                deadline += grace_s
            time.sleep(0.05)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it ended by itself in between
            os.kill(self.pid, number)


def spawn(argv: Sequence[str], environment: Mapping[str, str], log: Path, nice: int = 0) -> Process:
    """Start `argv` in a session of its own, its output appended to `log`.

    The higher `nice` (0 to 19), the more it leaves the processor to others.
    """
    if nice:  # by a command, so that every thread of it has the number
        argv = ["nice", "-n", str(nice), *argv]
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children.append(child)
    if nice:
        # Where the kernel shares the processor out among sessions first (sched(7), autogroup),
        # that number counts only within this one.
        with suppress(OSError):
            Path(f"/proc/{child.pid}/autogroup").write_text(str(nice))
    return Process(child.pid, psutil.Process(child.pid).create_time())


def remember(file: Path, process: Process) -> None:
    """Write down which process a service is."""
    write_atomically(file, json.dumps(asdict(process)))


def recall(file: Path) -> Process | None:
    """The process written down in `file`, dead or alive; None when there is no such file."""
    try:
        return Process(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None


def members(home: Path, service: str | None = None) -> list[psutil.Process]:
    """All processes of this user that belong to the stack in `home` (or to one service of it)."""
    found = []
    for process in psutil.process_iter():
        try:
            marks = process.environ()
        except psutil.Error:
            continue
        mine = marks.get(HOME_MARK) == str(home) and SERVICE_MARK in marks
        if mine and service in (None, marks[SERVICE_MARK]) and process.pid != os.getpid():
            found.append(process)
    return found


def kill_all(processes: Sequence[psutil.Process]) -> None:
    """Kill at once and wait until they are gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=5)


def resident_bytes(processes: Sequence[psutil.Process]) -> int:
    """Resident memory of `processes` together."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _reap() -> None:
    _children[:] = [child for child in _children if child.poll() is None]
