"""The stack heals itself: what is killed comes back, with what it had acknowledged."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feature_store.settings import Settings
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAY, Tile, Version
from infra.stack.errors import StackError
from infra.stack.home import Home
from infra.stack.jobs import cancel, jobs
from infra.stack.lifecycle import State, pid_file, state
from infra.stack.process import recall
from infra.stack.stack import Stack
from infra.stack.wanted import known
from infra.stack.watch import GONE_FOR_S
from tests.builders import NOON


@pytest.fixture
def supervised(stack: Stack) -> Iterator[Stack]:
    """The stack of the session with its supervisor."""
    stack.up(["supervisor"])
    yield stack
    stack.down(["supervisor"])


def wait_for(service_name: str, stack: Stack, other_than: int) -> None:
    """Until the service answers from another process."""
    service = stack.service(service_name)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        process = recall(pid_file(service))
        if process and process.pid != other_than and state(service) is State.READY:
            return
        time.sleep(0.2)
    pytest.fail(f"{service_name} did not come back within 90 s")


def kill(service_name: str, stack: Stack) -> int:
    """kill -9, by process id; returns the id."""
    process = recall(pid_file(stack.service(service_name)))
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    return process.pid


def wait_until(holds: Callable[[], bool]) -> None:
    """Until it holds, for two minutes at most."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def states(stack: Stack, title: str) -> list[str]:
    """Flink's word about every job of that title."""
    return [job.state for job in jobs(stack) if job.name == title]


def test_a_killed_redis_comes_back_with_every_tile(supervised: Stack, settings: Settings) -> None:
    tiles = {
        Tile("user", f"user-{n}", DAY, Version(DAY.start(NOON), 0, 1), '{"views":1}')
        for n in range(500)
    }
    RedisStore.connect(settings).write_tiles(tiles)
    wait_for("redis", supervised, other_than=kill("redis", supervised))
    assert set(RedisStore.connect(settings).scan_tiles()) == tiles


def test_a_submission_that_is_killed_still_ends_as_one_job(
    supervised: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(supervised.home.root))
    monkeypatch.setenv("MILLRACE_NAMESPACE", settings.namespace)
    title = f"{settings.namespace}-hot"
    submission = subprocess.Popen([sys.executable, "-m", "infra.cli", "stream", "submit", "hot"])
    wait_until(lambda: title in known(supervised.home))
    submission.kill()
    submission.wait()
    wait_until(lambda: "RUNNING" in states(supervised, title))
    time.sleep(2 * GONE_FOR_S)  # longer than the supervisor waits before it submits
    assert states(supervised, title).count("RUNNING") == len(states(supervised, title)) == 1
    cancel(supervised, "hot")


def test_starting_what_runs_changes_nothing(supervised: Stack) -> None:
    before = {report.name: report.pid for report in supervised.status()}
    supervised.up(["kafka", "redis", "cassandra"])
    assert {report.name: report.pid for report in supervised.status()} == before


def test_status_shows_each_service_with_its_memory(supervised: Stack) -> None:
    reports = {report.name: report for report in supervised.status()}
    for name in ("kafka", "redis", "cassandra", "flink-jobmanager", "mlflow"):
        assert reports[name].state is State.READY
        assert reports[name].resident_mib > 0
        assert reports[name].link


def test_a_port_in_use_is_one_clear_sentence_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("MILLRACE_PORT_REDIS", str(taken.getsockname()[1]))
        stack = Stack(Home(tmp_path))
        with pytest.raises(StackError, match=str(taken.getsockname()[1])):
            stack.up(["redis"])
    assert {report.state for report in stack.status()} == {State.STOPPED}


def test_a_service_that_dies_while_starting_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(Home(tmp_path))
    redis = stack.service("redis")
    monkeypatch.setattr(type(redis), "command", lambda self: ["redis-server", "--no-such-option"])
    with pytest.raises(StackError, match=r"redis ended while it was starting.*redis\.log"):
        stack.up(["redis"])
    assert not pid_file(redis).exists() or state(redis) is not State.READY


def test_two_homes_are_two_stacks(tmp_path: Path) -> None:
    one, other = (Stack(Home(tmp_path / name)) for name in ("one", "other"))
    try:
        for stack in (one, other):
            stack.up(["redis"])
        assert one.ports["redis"] != other.ports["redis"]
    finally:
        one.down(["redis"])
        other.down(["redis"])
