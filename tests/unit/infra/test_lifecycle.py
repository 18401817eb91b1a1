"""Services as processes: started once, found dead, ended by their own id, mourned in a sentence."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from infra.stack.errors import StackError
from infra.stack.home import Home
from infra.stack.lifecycle import (
    State,
    is_alive,
    pid_file,
    start,
    state,
    stop,
    telling_line,
    wait_until_ready,
)
from infra.stack.process import members, recall, remember
from infra.stack.service import Service


@dataclass(frozen=True)
class Script(Service):
    """A service that is a few lines of Python."""

    name: ClassVar[str] = "script"
    code: str = "import time; time.sleep(60)"

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.code]

    def answers(self) -> bool:
        return False


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.create()
    return home


def script(home: Home, code: str = "import time; time.sleep(60)") -> Script:
    return Script(home, {}, {}, code)


def test_a_second_start_leaves_the_first_alone(home: Home) -> None:
    service = script(home)
    try:
        assert start(service)
        first = recall(pid_file(service))
        assert not start(service)
        assert recall(pid_file(service)) == first
    finally:
        stop(service)
    assert state(service) is State.STOPPED
    assert members(home.root) == []


def test_a_killed_service_is_dead_until_it_is_started_again(home: Home) -> None:
    service = script(home)
    try:
        start(service)
        process = recall(pid_file(service))
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        while is_alive(service):
            time.sleep(0.01)
        assert state(service) is State.DEAD
        assert start(service, only_if_wanted=True)
    finally:
        stop(service)


def test_a_service_stopped_on_purpose_is_not_brought_back(home: Home) -> None:
    service = script(home)
    start(service)
    stop(service)
    assert not start(service, only_if_wanted=True)


def test_a_recycled_process_id_is_never_touched(home: Home) -> None:
    service, other = script(home), script(Home(home.root / "other"))
    other.home.create()
    try:
        start(other)
        innocent = recall(pid_file(other))
        assert innocent is not None
        remember(pid_file(service), replace(innocent, started=innocent.started - 3600))
        assert not is_alive(service)
        stop(service)
        assert is_alive(other)
    finally:
        stop(other)


def test_what_a_killed_service_left_behind_goes_with_it(home: Home) -> None:
    child = "[sys.executable, '-c', 'import time; time.sleep(60)']"
    service = script(home, f"import subprocess, sys; subprocess.Popen({child}).wait()")
    start(service)
    while len(members(home.root, "script")) < 2:
        time.sleep(0.02)
    process = recall(pid_file(service))
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert stop(service)
    assert members(home.root) == []


def test_a_service_that_dies_at_its_start_is_mourned_in_one_sentence(home: Home) -> None:
    service = script(home, "raise SystemExit('ValueError: no such bucket.')")
    start(service)
    with pytest.raises(StackError) as failure:
        wait_until_ready(service)
    stop(service)
    assert str(failure.value) == (
        "script ended while it was starting; its last words: ValueError: no such bucket. "
        f"The whole story is in {service.log}."
    )


def test_the_last_error_tells_more_than_the_last_line() -> None:
    log = "INFO up\nERROR: disk on fire\n    at a.b.C(C.java:1)\nINFO bye\n"
    assert telling_line(log) == "ERROR: disk on fire"
    assert telling_line("one\ntwo\n") == "two"
    assert telling_line("") == ""
