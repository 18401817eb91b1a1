"""What Flink's REST interface says about a job: since when it runs, and how big its state is."""

from __future__ import annotations

import time
from typing import Any

from infra.stack.errors import StackError
from infra.stack.http import call_json
from infra.stack.jobs import latest
from infra.stack.stack import Stack

TIMEOUT_S = 120
POLL_S = 0.05


def running_since(stack: Stack, name: str) -> float:
    """Waits until every task of the job runs; returns since when (seconds since the epoch)."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        tasks = list(_tasks(stack, name))
        if tasks and all(_ran(task) for task in tasks):
            return max(_began(task) for task in tasks)
        time.sleep(POLL_S)
    raise StackError(f"{name} did not run within {TIMEOUT_S} s: see `millrace logs` of its home.")


def wait_until_finished(stack: Stack, name: str, timeout_s: float = 1200) -> float:
    """Waits for the end of a job over a bounded source; returns when that was."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        detail = _ask(stack, name)
        if detail["state"] == "FINISHED":
            return float(detail["end-time"]) / 1e3
        if detail["state"] in {"FAILED", "CANCELED"}:
            break
        time.sleep(0.5)
    raise StackError(f"{name} did not finish within {timeout_s:.0f} s: see the job manager's log.")


def checkpoint(stack: Stack, name: str) -> int:
    """Takes a checkpoint of the job and returns the bytes of state in it, all of them."""
    before = _completed(stack, name)
    _ask(stack, name, "checkpoints", "POST", {"checkpointType": "CONFIGURED"})
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        newest = _completed(stack, name)
        if newest["id"] > before["id"]:
            return int(newest["state_size"])
        time.sleep(POLL_S)
    raise StackError(f"{name} completed no checkpoint within {TIMEOUT_S} s: see its log.")


def _completed(stack: Stack, name: str) -> dict[str, Any]:
    newest = _ask(stack, name, "checkpoints")["latest"]["completed"]
    return newest or {"id": 0}


def _tasks(stack: Stack, name: str) -> list[dict[str, Any]]:
    vertices = _ask(stack, name)["vertices"]
    return [
        task
        for vertex in vertices
        for task in _ask(stack, name, f"vertices/{vertex['id']}")["subtasks"]
    ]


def _ran(task: dict[str, Any]) -> bool:
    return bool(task["status"] in {"RUNNING", "FINISHED"})


def _began(task: dict[str, Any]) -> float:
    """When a task began to run: its end, or now, less how long it has been running."""
    end = task["end-time"] / 1e3 if task["end-time"] > 0 else time.time()
    return float(end - task["status-duration"]["RUNNING"] / 1e3)


def _ask(
    stack: Stack, name: str, path: str = "", method: str = "GET", body: object = None
) -> dict[str, Any]:
    job = latest(stack, name)
    if job is None:
        raise StackError(f"Flink knows no job called {name}.")
    url = f"{stack.environment()['MILLRACE_FLINK']}/jobs/{job.id}"
    answer: dict[str, Any] = call_json(f"{url}/{path}".rstrip("/"), method, body)
    return answer
