"""Upgrades a job by replay: the new one folds the log beside the old one, then takes its place.

Both write the same stores. The version guard lets the new one lose while it has folded fewer
events of a tile, and win for good once it has folded as many; so answers never stop, and no tile
is ever less than it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from infra.drain import drain, end_offsets, outlasting
from infra.stack.errors import StackError
from infra.stack.http import call_json
from infra.stack.interrupts import uninterrupted
from infra.stack.jobs import abandon, find, latest, replace_job, require_live, submit
from infra.stack.stack import Stack
from infra.stack.streaming import next_generation
from infra.stack.wanted import Wanted, known

#: The second wait is for what arrived during the first; after it the new job keeps pace.
WAITS: Final = 2
SLOTS_WITHIN_S: Final = 60.0
#: H of log may take hours; a person who has waited enough presses Ctrl-C.
LONGEST_REPLAY_S: Final = 7 * 24 * 3600.0


def upgrade(
    stack: Stack, deployment: str, behind: Callable[[str, int], None] = lambda _, __: None
) -> str:
    """Replace the running job by one of the declaration of now; returns the new one's Flink id.

    `behind` is told the new job's name and how many messages are still ahead of it. When this
    fails or is interrupted, the old job runs on and the new one is cancelled.
    """
    require_live(stack, deployment)
    old = find(stack, deployment)
    if old is None:
        raise StackError(f"{deployment} was not submitted by `millrace stream submit`: cancel it.")
    _abandon_unfinished(stack, old)
    new = next_generation(stack, old)
    _require_slots(stack, new)
    try:
        identity = submit(stack, new)
        for _ in range(WAITS):
            _catch_up(stack, new, lambda ahead: behind(new.name, ahead))
    except BaseException:
        with uninterrupted():
            abandon(stack, new)
        raise
    with uninterrupted():
        replace_job(stack, old, new)
    return identity


def _catch_up(stack: Stack, job: Wanted, lag: Callable[[int], None]) -> None:
    settings = stack.settings()
    until = outlasting(lambda: end_offsets(settings))
    drain(stack, settings, job.title, until, lag, timeout_s=LONGEST_REPLAY_S)


def _abandon_unfinished(stack: Stack, current: Wanted) -> None:
    """Cancel what an upgrade that was killed has left behind."""
    for job in known(stack.home).values():
        same = (job.deployment, job.namespace) == (current.deployment, current.namespace)
        if same and job.title != current.title and (job.running or _live(stack, job)):
            abandon(stack, job)


def _live(stack: Stack, job: Wanted) -> bool:
    running = latest(stack, job.title)
    return running is not None and running.live


def _require_slots(stack: Stack, job: Wanted) -> None:
    """Waits for free slots: a task manager that was killed is back within a minute."""
    deadline = time.monotonic() + SLOTS_WITHIN_S
    while (free := _free_slots(stack)) < job.parallelism:
        if time.monotonic() > deadline:
            raise StackError(
                f"{job.name} needs {job.parallelism} free slots beside the running jobs and Flink "
                f"has {free}: cancel another job, or submit this one with a lower --parallelism."
            )
        time.sleep(1)


def _free_slots(stack: Stack) -> int:
    overview = call_json(f"{stack.environment()['MILLRACE_FLINK']}/overview")
    return int(overview["slots-available"])
