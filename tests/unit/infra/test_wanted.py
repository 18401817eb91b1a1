"""Which Flink jobs should be running, and from which checkpoint each would go on."""

from __future__ import annotations

import os
import time
from pathlib import Path

from infra.stack.home import Home
from infra.stack.wanted import Wanted, newest_checkpoint, want, wanted

JOB = Wanted("hot", "job.py", ("--deployment", "hot"), state_life_s=3600, title="millrace-hot")


def checkpoint(home: Home, run: str, number: int, age_s: float, complete: bool = True) -> Path:
    directory = home.checkpoints / "hot" / run / f"chk-{number}"
    directory.mkdir(parents=True)
    if complete:
        (directory / "_metadata").touch()
        os.utime(directory / "_metadata", (time.time() - age_s,) * 2)
    return directory


def test_wanted_jobs_survive_the_process_that_wanted_them(tmp_path: Path) -> None:
    assert wanted(Home(tmp_path)) == {}
    want(Home(tmp_path), {"hot": JOB})
    assert wanted(Home(tmp_path)) == {"hot": JOB}


def test_the_newest_complete_checkpoint_of_any_run_is_taken(tmp_path: Path) -> None:
    home = Home(tmp_path)
    checkpoint(home, "first", 9, age_s=100)
    newest = checkpoint(home, "second", 1, age_s=10)
    checkpoint(home, "second", 2, age_s=0, complete=False)
    assert newest_checkpoint(home, JOB) == newest


def test_a_checkpoint_older_than_its_state_lives_is_not_taken(tmp_path: Path) -> None:
    checkpoint(Home(tmp_path), "first", 9, age_s=3601)
    assert newest_checkpoint(Home(tmp_path), JOB) is None
