"""The stack's serving: how many processes it is, and that they are counted together."""

from __future__ import annotations

from pathlib import Path

import pytest
from uvicorn import Config
from uvicorn.main import main as uvicorn

from infra.stack.errors import StackError
from infra.stack.service import Service
from infra.stack.serving import PROCESSES, WORKERS
from infra.stack.stack import Stack


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """As `millrace up` starts it, where the environment of a platform wants five processes."""
    for name in (WORKERS, PROCESSES, "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.setenv("WEB_CONCURRENCY", "5")
    return Stack.from_environment().service("serving")


def processes(service: Service) -> int:
    """How many uvicorn starts when it is told so."""
    said = uvicorn.make_context("uvicorn", service.command()[3:]).params
    return Config(said["app"], workers=said["workers"]).workers


def test_no_process_is_started_that_nobody_counts(service: Service) -> None:
    service.prepare()
    assert processes(service) == 1
    told = service.extra_environment()
    assert told[WORKERS] == "1"
    assert "PROMETHEUS_MULTIPROC_DIR" not in told


def test_several_are_counted_together_from_zero(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROCESSES, "3")
    counts = Path(service.extra_environment()["PROMETHEUS_MULTIPROC_DIR"])
    counts.mkdir(parents=True)
    (counts / "counter_1.db").touch()
    service.prepare()
    assert list(counts.iterdir()) == []
    assert processes(service) == 3
    assert service.extra_environment()[WORKERS] == "3"


@pytest.mark.parametrize("said", ["0", "-1", "many", ""])
def test_a_number_that_is_none_is_refused_with_words(
    service: Service, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv(PROCESSES, said)
    with pytest.raises(StackError, match="how many processes"):
        service.prepare()
    assert service.link
