"""Picks the ports of one stack once and remembers them, so that two stacks run side by side."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import psutil

from infra.stack.errors import StackError
from infra.stack.files import write_atomically

LOOPBACK: Final = "127.0.0.1"
PREFERRED: Final = {
    "kafka": 9092,
    "kafka_controller": 9093,
    "redis": 6379,
    "cassandra": 9042,
    "cassandra_storage": 7000,
    "flink": 8081,
    "flink_rpc": 6123,
    "flink_jobmanager_metrics": 9249,
    "flink_taskmanager_metrics": 9250,
    "mlflow": 5000,
    "serving": 8000,
}
# Below Linux's range for outgoing connections (32768 and up): a port from that range may be
# borrowed by anybody's client socket while the stack is down.
SCAN: Final = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether nothing on this machine listens on `port` of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens on `port`, in words for an error message."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr[1:2] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another process"


def variable(name: str) -> str:
    """The environment variable that chooses the port called `name`."""
    return f"MILLRACE_PORT_{name.upper()}"


def require_free(name: str, port: int) -> None:
    """Raise `StackError` when `port` is taken."""
    if not is_free(port):
        raise StackError(
            f"Port {port}, meant for {name}, is taken by {holder(port)}: "
            f"stop that process, or choose another port with {variable(name)}=<port>."
        )


def load_ports(
    file: Path, familiar: bool = False, free: Callable[[int], bool] = is_free
) -> dict[str, int]:
    """The ports kept in `file`; missing ones are picked, `MILLRACE_PORT_*` wins, all is saved.

    Only one home of a machine should ask for the `familiar` ones: two stacks that were never up
    together would otherwise both pick 8081, and a job meant for one would reach the other.
    """
    kept: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    ports = {**kept, **_overrides(PREFERRED)}
    for name, preferred in PREFERRED.items():
        if name not in ports:
            first = [preferred] if familiar else []
            ports[name] = _pick(first, taken=ports.values(), free=free)
    if ports != kept:
        write_atomically(file, json.dumps(ports, indent=2))
    return ports


def _overrides(names: Iterable[str]) -> dict[str, int]:
    chosen = {name: os.environ[variable(name)] for name in names if os.environ.get(variable(name))}
    for name, port in chosen.items():
        if not (port.isdecimal() and 0 < int(port) < 65_536):
            raise StackError(f"{variable(name)}={port} is not a port: give a number below 65536.")
    return {name: int(port) for name, port in chosen.items()}


def _pick(first: Iterable[int], taken: Iterable[int], free: Callable[[int], bool]) -> int:
    used = set(taken)
    candidates = [*first, *random.sample(SCAN, 200)]
    for port in candidates:
        if port not in used and free(port):
            return port
    raise StackError("No free port was found on 127.0.0.1: stop what listens there, then retry.")
