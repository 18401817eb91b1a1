"""The Flink jobs that should be running, and the checkpoint from which each would go on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.stack.errors import StackError
from infra.stack.files import locked, write_atomically
from infra.stack.home import Home


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job, with all that is needed to submit it again exactly as it was.

    `name` is what a person calls it (`hot`; `hot-g1` while that generation catches up), `title`
    what Flink, its checkpoints and its consumer group are called: no two jobs share one.
    `environment` is what its script was told, whatever the one who submits it again is told.
    A checkpoint older than `state_life_s` is not restored: the state in it has expired, and a
    late event would start its tile again from zero. A job that is no longer `running` stays in
    the list, because its state and its generation may still be asked for. Checkpoints from before
    `submitted_at` (seconds since the epoch) are of a run that it does not go on from.
    """

    name: str
    title: str
    script: str
    arguments: tuple[str, ...] = ()
    deployment: str = ""
    generation: int = 0
    parallelism: int = 1
    state: str = "rocksdb"
    state_life_s: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    start_from: str = ""
    submitted_at: float = 0.0
    running: bool = True

    @property
    def namespace(self) -> str:
        """Whose topics it reads."""
        return self.environment.get("MILLRACE_NAMESPACE", "")

    @property
    def since(self) -> int:
        """It writes no tile that starts before this moment (ms)."""
        return int(self.arguments[self.arguments.index("--since") + 1])


def known(home: Home) -> dict[str, Wanted]:
    """Every job that was ever wanted, by title; of each title the latest."""
    file = _file(home)
    listed = json.loads(file.read_text()) if file.exists() else {}
    return {
        title: Wanted(**{**entry, "arguments": tuple(entry["arguments"])})
        for title, entry in listed.items()
    }


def wanted(home: Home) -> list[Wanted]:
    """The jobs that should be running."""
    return [job for job in known(home).values() if job.running]


def remember(home: Home, *jobs: Wanted) -> None:
    """Say how these jobs should be from now on, all at once; the caller holds `lock`."""
    listed = {**known(home), **{job.title: job for job in jobs}}
    text = json.dumps({title: asdict(job) for title, job in listed.items()}, indent=2)
    write_atomically(_file(home), text)


def lock(home: Home) -> AbstractContextManager[int]:
    """Held while a job is submitted or cancelled, so that nobody submits it a second time."""
    return locked(home.run / "jobs.lock")


def newest_checkpoint(home: Home, job: Wanted) -> Path | None:
    """Where `job` goes on: its newest complete checkpoint since, else what it was started from.

    None when there is neither, or when the state in it no longer lives.
    """
    found = (home.checkpoints / job.title).glob("*/chk-*/_metadata")
    complete = [file for file in found if file.stat().st_mtime >= job.submitted_at]
    if job.start_from and (given := Path(job.start_from) / "_metadata").exists():
        complete.append(given)
    newest = max(complete, key=lambda file: file.stat().st_mtime, default=None)
    return newest.parent if newest and _lives(newest, job) else None


def chosen_start(job: Wanted) -> Path | None:
    """The savepoint or checkpoint that `job` was told to start from, if any.

    Raises `StackError` when there is none in that place, or when the state in it has expired.
    """
    if not job.start_from:
        return None
    chosen = Path(job.start_from)
    if not (chosen / "_metadata").exists():
        raise StackError(f"{chosen} is neither a savepoint nor a whole checkpoint.")
    if not _lives(chosen / "_metadata", job):
        raise StackError(
            f"The state in {chosen} has expired since it was written: late events would start "
            "their tiles again from zero. Submit without --from to fold the log anew."
        )
    return chosen


def _lives(metadata: Path, job: Wanted) -> bool:
    age = time.time() - metadata.stat().st_mtime
    return job.state_life_s is None or age < job.state_life_s


def _file(home: Home) -> Path:
    return home.run / "jobs.json"
