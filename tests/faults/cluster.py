"""The injectors: each hurts one service by its process id and proves that it did."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import redis

from infra.stack.lifecycle import State, pid_file, state
from infra.stack.process import members, recall
from infra.stack.stack import Stack

TASK_MANAGER, JOB_MANAGER = "flink-taskmanager", "flink-jobmanager"
#: How long a trial waits for what should take seconds; the limits are in `tests/faults/trial.py`.
PATIENCE_S = 240


def pid_of(stack: Stack, name: str) -> int:
    """The process that the service is now."""
    process = recall(pid_file(stack.service(name)))
    assert process is not None, f"{name} is not wanted in {stack.home.root}"
    return process.pid


def kill(stack: Stack, name: str) -> float:
    """kill -9; returns the seconds until the supervisor has another process that answers."""
    begun = time.monotonic()
    with killed(stack, name):
        pass
    return time.monotonic() - begun


@contextmanager
def killed(stack: Stack, name: str) -> Iterator[None]:
    """kill -9; on leaving, waits until the supervisor has another process that answers."""
    pid = pid_of(stack, name)
    os.kill(pid, signal.SIGKILL)
    _wait_until_gone(pid)
    yield
    service = stack.service(name)
    deadline = time.monotonic() + PATIENCE_S
    while pid_of(stack, name) == pid or state(service) is not State.READY:
        assert time.monotonic() < deadline, f"{name} did not come back: see {service.log}"
        time.sleep(0.2)


def kill_a_worker(stack: Stack) -> int:
    """kill -9 of one Python worker of the task manager; returns how many there were."""
    found = workers(stack)
    if found:
        found[0].kill()
        _wait_until_gone(found[0].pid)
    return len(found)


def workers(stack: Stack) -> list[psutil.Process]:
    """The Python processes that the task manager started."""
    return [one for one in members(stack.home.root, TASK_MANAGER) if _is_python(one)]


@contextmanager
def frozen(stack: Stack, name: str) -> Iterator[None]:
    """Stops the process (SIGSTOP): its port accepts, nobody answers."""
    process = psutil.Process(pid_of(stack, name))
    process.suspend()
    try:
        time.sleep(0.5)
        assert process.status() == psutil.STATUS_STOPPED
        assert not stack.service(name).answers()
        yield
    finally:
        process.resume()


@contextmanager
def reset(stack: Stack, name: str) -> Iterator[None]:
    """Cuts every connection to Redis twenty times a second until left."""
    assert name == "redis"
    enough, cut = threading.Event(), [0]
    cutter = threading.Thread(target=_cut_connections, args=(stack, enough, cut))
    cutter.start()
    try:
        yield
    finally:
        enough.set()
        cutter.join()
    assert cut[0], "no connection was cut"


def flush_redis(stack: Stack) -> int:
    """Makes Redis forget everything, of every namespace; returns how many keys there were."""
    client = redis.Redis.from_url(stack.environment()["MILLRACE_REDIS"])
    keys = int(client.dbsize())  # type: ignore[arg-type]
    assert keys, "there was nothing to forget"
    client.flushall()
    client.close()
    return keys


def _cut_connections(stack: Stack, enough: threading.Event, cut: list[int]) -> None:
    client = redis.Redis.from_url(stack.environment()["MILLRACE_REDIS"])
    while not enough.wait(0.05):
        cut[0] += int(client.execute_command("CLIENT", "KILL", "TYPE", "normal"))  # type: ignore[no-untyped-call]
    client.close()


def _is_python(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("python")
    except psutil.NoSuchProcess:
        return False


def _wait_until_gone(pid: int) -> None:
    """The injector's own proof: whatever comes next is another process."""
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} survived kill -9"
        time.sleep(0.01)
