"""Ports are picked once, kept, overridable, and a clash is told in words."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from infra.stack.errors import StackError
from infra.stack.ports import PREFERRED, load_ports, require_free


@pytest.fixture(autouse=True)
def no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PREFERRED:
        monkeypatch.delenv(f"MILLRACE_PORT_{name.upper()}", raising=False)


def test_ports_stay_the_same_once_picked(tmp_path: Path) -> None:
    first = load_ports(tmp_path / "ports.json")
    assert load_ports(tmp_path / "ports.json") == first
    assert len(set(first.values())) == len(PREFERRED)


def test_a_home_somebody_chose_avoids_the_familiar_ports(tmp_path: Path) -> None:
    ports = load_ports(tmp_path / "ports.json", free=lambda port: True)
    assert not set(ports.values()) & set(PREFERRED.values())


def test_the_default_home_takes_the_familiar_ports_that_are_free(tmp_path: Path) -> None:
    taken = PREFERRED["flink"]
    ports = load_ports(tmp_path / "ports.json", familiar=True, free=lambda port: port != taken)
    assert ports["kafka"] == PREFERRED["kafka"]
    assert ports["flink"] != taken


def test_the_environment_overrides_a_kept_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_ports(tmp_path / "ports.json")
    monkeypatch.setenv("MILLRACE_PORT_KAFKA", "23456")
    assert load_ports(tmp_path / "ports.json")["kafka"] == 23456


@pytest.mark.parametrize("value", ["kafka", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MILLRACE_PORT_KAFKA", value)
    with pytest.raises(StackError, match="MILLRACE_PORT_KAFKA"):
        load_ports(tmp_path / "ports.json")


def test_a_taken_port_is_told_with_what_to_do() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(StackError, match=rf"Port {port}, meant for redis.*MILLRACE_PORT_REDIS"):
            require_free("redis", port)
