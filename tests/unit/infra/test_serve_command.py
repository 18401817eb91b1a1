"""`millrace serve`: what is started, with what, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli import app

RUN = CliRunner()
Started = dict[str, str]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Started]:
    """The command and the environment that would have taken this process's place."""
    command: list[str] = []
    environment: Started = {}

    def instead(_: str, said: Sequence[str], told: Mapping[str, str]) -> None:
        command.extend(said)
        environment.update(told)

    for name in ("MILLRACE_SERVING_WORKERS", "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "execve", instead)
    return command, environment


@pytest.mark.parametrize("workers", ["0", "-2", "many"])
def test_a_number_of_workers_that_is_none_is_refused_with_words(
    started: tuple[list[str], Started], workers: str
) -> None:
    done = RUN.invoke(app, ["serve", "--workers", workers], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "Invalid value for '--workers'" in done.output
    assert not started[0]


def test_one_process_is_what_is_started_unless_more_are_asked_for(
    started: tuple[list[str], Started],
) -> None:
    assert RUN.invoke(app, ["serve"]).exit_code == 0
    command, environment = started
    assert command[-2:] == ["--workers", "1"]
    assert environment["MILLRACE_SERVING_WORKERS"] == "1"
    assert "PROMETHEUS_MULTIPROC_DIR" not in environment


def test_several_count_together_and_know_how_many_they_are(
    started: tuple[list[str], Started],
) -> None:
    assert RUN.invoke(app, ["serve", "--workers", "3", "--port", "8123"]).exit_code == 0
    command, environment = started
    assert command[-2:] == ["--workers", "3"]
    assert command[command.index("--port") + 1] == "8123"
    assert environment["MILLRACE_SERVING_WORKERS"] == "3"
    counts = Path(environment["PROMETHEUS_MULTIPROC_DIR"])
    assert list(counts.iterdir()) == []
    counts.rmdir()


def test_who_has_more_machines_says_how_many_processes_there_are(
    started: tuple[list[str], Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_SERVING_WORKERS", "8")
    assert RUN.invoke(app, ["serve", "--only", "catalog"]).exit_code == 0
    assert started[1]["MILLRACE_SERVING_WORKERS"] == "8"
    assert started[1]["MILLRACE_SERVING_ONLY"] == "catalog"
