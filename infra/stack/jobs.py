"""Submits Flink jobs, finds them, cancels them and writes their savepoints."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from infra.stack.errors import StackError
from infra.stack.flink_conf import classpath, java_options
from infra.stack.http import call_json
from infra.stack.interrupts import uninterrupted
from infra.stack.lifecycle import is_alive, telling_line
from infra.stack.prerequisites import java
from infra.stack.stack import Stack
from infra.stack.wanted import Wanted, chosen_start, known, lock, newest_checkpoint, remember

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

    @property
    def lost(self) -> bool:
        """Whether it ended though nobody asked it to: the supervisor brings it back."""
        return self.state in {"FAILED", "SUSPENDED"}


def jobs(stack: Stack) -> list[Job]:
    """All jobs the cluster remembers, the newest first; raises `StackError` when it is down."""
    listed = call_json(f"{_url(stack)}/jobs/overview")["jobs"]
    found = [Job(job["jid"], job["name"], job["state"], job["start-time"] / 1e3) for job in listed]
    return sorted(found, key=lambda job: job.started, reverse=True)


def find(stack: Stack, name: str) -> Wanted | None:
    """The job of that title, or called `name` in this namespace: the one that should be running,
    else the newest generation."""
    namespace = stack.environment()["MILLRACE_NAMESPACE"]
    called = (
        job
        for job in known(stack.home).values()
        if job.title == name or (job.name == name and job.namespace == namespace)
    )
    return max(called, key=lambda job: (job.running, job.generation), default=None)


def latest(stack: Stack, name: str) -> Job | None:
    """The newest job known as `name` (ours or Flink's), or None when the cluster knows none."""
    job = find(stack, name)
    title = job.title if job else name
    return next((job for job in jobs(stack) if job.name == title), None)


def require_live(stack: Stack, name: str) -> Job:
    """The running job called `name`; raises `StackError` when there is none."""
    job = latest(stack, name)
    if job is None or not job.live:
        raise StackError(f"No job called {name} is running: see `millrace stream status`.")
    return job


def submit(stack: Stack, job: Wanted) -> str:
    """Submit `job` unless one of its title runs, and want it from now on; returns its Flink id.

    Without `start_from` (a savepoint or a retained checkpoint) it starts with no state, and
    older checkpoints of its title are removed, so that no restart can mix the two.
    """
    with lock(stack.home) as held:
        running = latest(stack, job.title)
        if running is not None and running.live:
            if before := known(stack.home).get(job.title):
                remember(stack.home, replace(before, name=job.name, running=True))
            return running.id
        start_from = chosen_start(job)
        if start_from is None:
            discard_checkpoints(stack, job)
        job = replace(job, submitted_at=time.time())
        # First the intention: killed from here on, the supervisor finishes what was begun.
        remember(stack.home, job)
        try:
            return _run(stack, job, start_from, held)
        except BaseException:
            with uninterrupted():
                _give_up(stack, job)
            raise


def resubmit(stack: Stack, job: Wanted) -> str | None:
    """Submit a wanted job that vanished, from its newest usable checkpoint.

    Returns its Flink id, or None when the job is no longer wanted or runs after all.
    """
    with lock(stack.home) as held:
        running, now = latest(stack, job.title), known(stack.home)[job.title]
        if not now.running or (running is not None and running.live):
            return None
        return _run(stack, now, newest_checkpoint(stack.home, now), held)


def cancel(stack: Stack, name: str, timeout_s: float = 30) -> None:
    """Cancel the job called `name` and want it no longer; returns when it has ended."""
    with lock(stack.home):
        expected, job = find(stack, name), latest(stack, name)
        # First the intention: the supervisor must not bring back what is being cancelled.
        if expected:
            remember(stack.home, replace(expected, running=False))
        if job is None or not job.live:
            raise StackError(f"No job called {name} is running: see `millrace stream status`.")
        _end(stack, job, timeout_s)


def replace_job(stack: Stack, old: Wanted, new: Wanted) -> None:
    """Let `new`, which runs, take the name of `old`; then end `old` and remove its checkpoints."""
    with lock(stack.home):
        remember(stack.home, replace(old, running=False), replace(new, name=old.name))
        _end_if_live(stack, old)
    discard_checkpoints(stack, old)


def abandon(stack: Stack, job: Wanted) -> None:
    """End a job that will not be needed again, whether it runs or not, with its checkpoints."""
    with lock(stack.home):
        _give_up(stack, job)
    discard_checkpoints(stack, job)


def discard_checkpoints(stack: Stack, job: Wanted) -> None:
    """Remove every checkpoint of a job that will not go on from one."""
    shutil.rmtree(stack.home.checkpoints / job.title, ignore_errors=True)


def savepoint(stack: Stack, name: str, timeout_s: float = 300) -> Path:
    """Write a savepoint of the running job called `name`; returns its directory."""
    job = require_live(stack, name)
    target = stack.home.savepoints / job.name
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


def _run(stack: Stack, job: Wanted, start_from: Path | None, held: int) -> str:
    log = stack.home.log(f"submit-{job.title}")
    done = subprocess.run(
        _command(stack, job, start_from),
        env={**stack.children_environment(), **job.environment},
        # Killed, this process leaves the submission under way: it must go on holding the lock.
        pass_fds=(held,),
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
        noise = (
            "Python process exits",
            "Run python process failed",
            "ProgramAbortException",
            "Fatal error while running",
        )
        story = [line for line in done.stdout.splitlines() if not any(n in line for n in noise)]
        why = telling_line("\n".join(story))
        raise StackError(f"Flink did not take the job {job.name}: {why} (see {log}).")
    return stated[1]


def _command(stack: Stack, job: Wanted, start_from: Path | None) -> list[str]:
    options = {
        "pipeline.name": job.title,
        "state.backend.type": job.state,
        "execution.checkpointing.dir": (stack.home.checkpoints / job.title).as_uri(),
    }
    # What a person chose stays theirs; the checkpoints of a job that is brought back go with it.
    mode = "no_claim" if start_from and start_from == Path(job.start_from) else "claim"
    restore = ["-s", start_from.as_uri(), "-cm", mode] if start_from else []
    return [
        *(java(), "-Xmx512m", "-XX:TieredStopAtLevel=1", *java_options()),
        f"-Dlog4j.configurationFile={stack.home.conf('flink')}/log4j-cli.properties",
        *("-cp", classpath(stack.home), "org.apache.flink.client.cli.CliFrontend"),
        *("run", "-d", "-p", str(job.parallelism), *restore),
        *(f"-D{key}={value}" for key, value in options.items()),
        *("-pyclientexec", sys.executable, "-pyexec", sys.executable),
        *("-py", job.script, *job.arguments),
    ]


def _give_up(stack: Stack, job: Wanted) -> None:
    """Want `job` no longer and end it, if it runs; what made us do so is the failure to tell."""
    remember(stack.home, replace(job, running=False))
    with suppress(StackError):
        _end_if_live(stack, job)


def _end_if_live(stack: Stack, job: Wanted) -> None:
    submitted = latest(stack, job.title)
    if submitted is not None and submitted.live:
        _end(stack, submitted)


def _end(stack: Stack, job: Job, timeout_s: float = 30) -> None:
    call_json(f"{_url(stack)}/jobs/{job.id}?mode=cancel", method="PATCH")
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
