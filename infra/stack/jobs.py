"""Submits Flink jobs, finds, cancels and saves them; remembers which ones should be running."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from infra.stack.errors import StackError
from infra.stack.files import locked, write_atomically
from infra.stack.flink_conf import classpath, java_options
from infra.stack.http import call_json
from infra.stack.lifecycle import telling_line
from infra.stack.prerequisites import java
from infra.stack.stack import Stack

ENDED: Final = frozenset({"FINISHED", "CANCELED", "FAILED", "SUSPENDED"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job that should be running: a script, its arguments, and how long its state lives.

    `name` is ours; `title` is what the script calls the job in Flink, learnt at the submission
    (empty before it). A checkpoint older than `state_life_s` is not restored: the state in it has expired, and a
    late event would start its tile again from zero.
    """

    name: str
    script: str
    arguments: tuple[str, ...]
    parallelism: int = 1
    state_life_s: float | None = None
    title: str = ""


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
    job = wanted(stack).get(name)
    titles = {name, job.title if job else name}
    return next((job for job in jobs(stack) if job.name in titles), None)


def require_live(stack: Stack, name: str) -> Job:
    """The running job called `name`; raises `StackError` when there is none."""
    job = latest(stack, name)
    if job is None or not job.live:
        raise StackError(f"No job called {name} is running: see `millrace stream status`.")
    return job


def wanted(stack: Stack) -> dict[str, Wanted]:
    """The jobs that should be running, by name."""
    file = _file(stack)
    listed = json.loads(file.read_text()) if file.exists() else {}
    return {
        name: Wanted(**{**entry, "arguments": tuple(entry["arguments"])})
        for name, entry in listed.items()
    }


def submit(stack: Stack, job: Wanted, start_from: Path | None = None) -> str:
    """Submit `job` unless one of its name runs, and want it from now on; returns its Flink id.

    Without `start_from` (a savepoint or a retained checkpoint) it starts with no state, and
    older checkpoints of its name are removed, so that no restart can mix the two.
    """
    with _locked(stack):
        running = latest(stack, job.name)
        if running is not None and running.live:
            return running.id
        if start_from is None:
            shutil.rmtree(stack.home.checkpoints / job.name, ignore_errors=True)
        identity = _run(stack, job, start_from)
        title = str(call_json(f"{_url(stack)}/jobs/{identity}")["name"])
        _want(stack, {**wanted(stack), job.name: replace(job, title=title)})
    return identity


def resubmit(stack: Stack, job: Wanted) -> str | None:
    """Submit a wanted job that vanished, from its newest usable checkpoint.

    Returns its Flink id, or None when the job is no longer wanted or runs after all.
    """
    with _locked(stack):
        running = latest(stack, job.name)
        if job.name not in wanted(stack) or (running is not None and running.live):
            return None
        return _run(stack, job, newest_checkpoint(stack, job))


def cancel(stack: Stack, name: str, timeout_s: float = 30) -> None:
    """Cancel the job called `name` and want it no longer; returns when it has ended."""
    with _locked(stack):
        job = require_live(stack, name)
        # First the intention: the supervisor must not bring back what is being cancelled.
        kept = wanted(stack).items()
        _want(stack, {key: one for key, one in kept if name not in (key, one.title)})
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


def newest_checkpoint(stack: Stack, job: Wanted) -> Path | None:
    """The newest complete checkpoint of `job` whose state still lives, or None."""
    complete = (stack.home.checkpoints / job.name).glob("*/chk-*/_metadata")
    newest = max(complete, key=lambda file: file.stat().st_mtime, default=None)
    if newest is None:
        return None
    age = time.time() - newest.stat().st_mtime
    return newest.parent if job.state_life_s is None or age < job.state_life_s else None


def _run(stack: Stack, job: Wanted, start_from: Path | None) -> str:
    environment = {**stack.children_environment(), "MILLRACE_JOB": job.name}
    log = stack.home.log(f"submit-{job.name}")
    done = subprocess.run(
        _command(stack, job, start_from),
        env=environment,
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
    return stack.environment()["MILLRACE_FLINK"]


def _file(stack: Stack) -> Path:
    return stack.home.run / "jobs.json"


def _locked(stack: Stack) -> AbstractContextManager[None]:
    return locked(stack.home.run / "jobs.lock")


def _want(stack: Stack, listed: dict[str, Wanted]) -> None:
    text = json.dumps({name: asdict(job) for name, job in listed.items()}, indent=2)
    write_atomically(_file(stack), text)
