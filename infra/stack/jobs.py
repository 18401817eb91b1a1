"""Submits Flink jobs, finds them, cancels them and writes their savepoints."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from infra.stack.errors import StackError
from infra.stack.flink_conf import classpath, java_options
from infra.stack.http import call_json
from infra.stack.lifecycle import is_alive, telling_line
from infra.stack.prerequisites import java
from infra.stack.stack import Stack
from infra.stack.wanted import Wanted, lock, newest_checkpoint, want, wanted

ENDED: Final = frozenset({"FINISHED", "CANCELED", "FAILED", "SUSPENDED"})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the cluster knows it; `state` is Flink's word (RUNNING, RESTARTING, …)."""

    id: str
    name: str
    state: str
    started: float

    @property
    def live(self) -> bool:
        """Whether it runs or will run again by itself."""
        return self.state not in ENDED


def jobs(stack: Stack) -> list[Job]:
    """All jobs the cluster remembers, the newest first; raises `StackError` when it is down."""
    listed = call_json(f"{_url(stack)}/jobs/overview")["jobs"]
    found = [Job(job["jid"], job["name"], job["state"], job["start-time"] / 1e3) for job in listed]
    return sorted(found, key=lambda job: job.started, reverse=True)


def latest(stack: Stack, name: str) -> Job | None:
    """The newest job known as `name` (ours or Flink's), or None when the cluster knows none."""
    job = wanted(stack.home).get(name)
    titles = {name, job.title if job else name}
    return next((job for job in jobs(stack) if job.name in titles), None)


def require_live(stack: Stack, name: str) -> Job:
    """The running job called `name`; raises `StackError` when there is none."""
    job = latest(stack, name)
    if job is None or not job.live:
        raise StackError(f"No job called {name} is running: see `millrace stream status`.")
    return job


def submit(stack: Stack, job: Wanted, start_from: Path | None = None) -> str:
    """Submit `job` unless one of its name runs, and want it from now on; returns its Flink id.

    Without `start_from` (a savepoint or a retained checkpoint) it starts with no state, and
    older checkpoints of its name are removed, so that no restart can mix the two.
    """
    with lock(stack.home):
        running = latest(stack, job.name)
        if running is not None and running.live:
            return running.id
        if start_from is None:
            shutil.rmtree(stack.home.checkpoints / job.name, ignore_errors=True)
        identity = _run(stack, job, start_from)
        title = str(call_json(f"{_url(stack)}/jobs/{identity}")["name"])
        want(stack.home, {**wanted(stack.home), job.name: replace(job, title=title)})
    return identity


def resubmit(stack: Stack, job: Wanted) -> str | None:
    """Submit a wanted job that vanished, from its newest usable checkpoint.

    Returns its Flink id, or None when the job is no longer wanted or runs after all.
    """
    with lock(stack.home):
        running = latest(stack, job.name)
        if job.name not in wanted(stack.home) or (running is not None and running.live):
            return None
        return _run(stack, job, newest_checkpoint(stack.home, job))


def cancel(stack: Stack, name: str, timeout_s: float = 30) -> None:
    """Cancel the job called `name` and want it no longer; returns when it has ended."""
    with lock(stack.home):
        job = latest(stack, name)
        # First the intention: the supervisor must not bring back what is being cancelled.
        kept = wanted(stack.home).items()
        want(stack.home, {key: one for key, one in kept if name not in (key, one.title)})
        if job is None or not job.live:
            raise StackError(f"No job called {name} is running: see `millrace stream status`.")
        call_json(f"{_url(stack)}/jobs/{job.id}?mode=cancel", method="PATCH")
        _wait_until_ended(stack, job, timeout_s)


def savepoint(stack: Stack, name: str, timeout_s: float = 300) -> Path:
    """Write a savepoint of the running job called `name`; returns its directory."""
    job = require_live(stack, name)
    target = stack.home.savepoints / name
    body = {"target-directory": target.as_uri(), "cancel-job": False}
    base = f"{_url(stack)}/jobs/{job.id}/savepoints"
    request = call_json(base, "POST", body)["request-id"]
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = call_json(f"{base}/{request}")
        if answer["status"]["id"] == "COMPLETED":
            return _saved(name, answer["operation"])
        time.sleep(0.3)
    raise StackError(f"The savepoint of {name} did not end within {timeout_s:.0f} s: try again.")


def _run(stack: Stack, job: Wanted, start_from: Path | None) -> str:
    log = stack.home.log(f"submit-{job.name}")
    done = subprocess.run(
        _command(stack, job, start_from),
        env=stack.children_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    log.write_text(done.stdout)
    stated = re.search(r"submitted with JobID (\w{32})", done.stdout)
    if done.returncode != 0 or stated is None:
        # Flink ends every such story with these, whatever it was about.
        noise = ("Python process exits", "ProgramAbortException", "Fatal error while running")
        story = [line for line in done.stdout.splitlines() if not any(n in line for n in noise)]
        why = telling_line("\n".join(story))
        raise StackError(f"Flink did not take the job {job.name}: {why} (see {log}).")
    return stated[1]


def _command(stack: Stack, job: Wanted, start_from: Path | None) -> list[str]:
    options = {
        "pipeline.name": job.name,
        "execution.checkpointing.dir": (stack.home.checkpoints / job.name).as_uri(),
    }
    restore = ["-s", start_from.as_uri(), "-cm", "claim"] if start_from else []
    return [
        *(java(), "-Xmx512m", "-XX:TieredStopAtLevel=1", *java_options()),
        f"-Dlog4j.configurationFile={stack.home.conf('flink')}/log4j-cli.properties",
        *("-cp", classpath(stack.home), "org.apache.flink.client.cli.CliFrontend"),
        *("run", "-d", "-p", str(job.parallelism), *restore),
        *(f"-D{key}={value}" for key, value in options.items()),
        *("-pyclientexec", sys.executable, "-pyexec", sys.executable),
        *("-py", job.script, *job.arguments),
    ]


def _wait_until_ended(stack: Stack, job: Job, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        state = call_json(f"{_url(stack)}/jobs/{job.id}")["state"]
        if not replace(job, state=state).live:
            return
        time.sleep(0.2)
    raise StackError(f"{job.name} did not end within {timeout_s:.0f} s: see {_url(stack)}.")


def _saved(name: str, operation: dict[str, object]) -> Path:
    if "location" not in operation:
        raise StackError(f"The savepoint of {name} failed: see `millrace logs flink-jobmanager`.")
    return Path(str(operation["location"]).removeprefix("file:"))


def _url(stack: Stack) -> str:
    # Whatever else listens on that port may be the cluster of another home.
    if not is_alive(stack.service("flink-jobmanager")):
        raise StackError("Flink is not running in this home: type `millrace up` first.")
    return stack.environment()["MILLRACE_FLINK"]
