"""The Flink jobs that should be running, and the checkpoint from which each would go on."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.stack.files import locked, write_atomically
from infra.stack.home import Home


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job that should be running: a script, its arguments, and how long its state lives.

    `name` is ours; `title` is what the script calls the job in Flink, learnt at the submission
    (empty before it). A checkpoint older than `state_life_s` is not restored: the state in it
    has expired, and a late event would start its tile again from zero.
    """

    name: str
    script: str
    arguments: tuple[str, ...]
    parallelism: int = 1
    state_life_s: float | None = None
    title: str = ""


def wanted(home: Home) -> dict[str, Wanted]:
    """The jobs that should be running, by our name."""
    file = _file(home)
    listed = json.loads(file.read_text()) if file.exists() else {}
    return {
        name: Wanted(**{**entry, "arguments": tuple(entry["arguments"])})
        for name, entry in listed.items()
    }


def want(home: Home, listed: dict[str, Wanted]) -> None:
    """Say which jobs should be running from now on; the caller holds `lock`."""
    text = json.dumps({name: asdict(job) for name, job in listed.items()}, indent=2)
    write_atomically(_file(home), text)


def lock(home: Home) -> AbstractContextManager[None]:
    """Held while a job is submitted or cancelled, so that nobody submits it a second time."""
    return locked(home.run / "jobs.lock")


def newest_checkpoint(home: Home, job: Wanted) -> Path | None:
    """The newest complete checkpoint of `job` whose state still lives, or None."""
    complete = (home.checkpoints / job.name).glob("*/chk-*/_metadata")
    newest = max(complete, key=lambda file: file.stat().st_mtime, default=None)
    if newest is None:
        return None
    age = time.time() - newest.stat().st_mtime
    return newest.parent if job.state_life_s is None or age < job.state_life_s else None


def _file(home: Home) -> Path:
    return home.run / "jobs.json"
