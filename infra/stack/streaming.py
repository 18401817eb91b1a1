"""The speed layer's two deployments as Flink jobs: one code, submitted as `hot` and as `kept`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from feature_store.tiles import GENERATIONS, replay_since
from infra.stack.declarations import freeze
from infra.stack.errors import StackError
from infra.stack.home import REPOSITORY
from infra.stack.jobs import find, latest, submit
from infra.stack.stack import DEFAULTS, Stack
from infra.stack.wanted import Wanted, known

SCRIPT: Final = REPOSITORY / "streaming" / "job.py"
#: How old a checkpoint may be that is gone on from. State lives for H and two days after its last
#: write, and a day's tile is added to for H and a day: the other day is for outages.
LONGEST_OUTAGE_S: Final = 24 * 3600


def deploy(
    stack: Stack,
    deployment: str,
    start_from: Path | None = None,
    parallelism: int = 1,
    state: str = "rocksdb",
) -> str:
    """Submit one deployment unless it runs; returns its Flink job id.

    With `start_from` the job that wrote that state goes on: same declaration, same start.
    Otherwise where it starts reading is fixed now: a later restart must not move it.
    """
    running = latest(stack, deployment)
    if running is not None and running.live:
        return running.id
    before = find(stack, deployment) if start_from else None
    job = before or _fresh(stack, deployment)
    return submit(
        stack,
        replace(
            job,
            parallelism=parallelism,
            state=state,
            start_from=str(start_from.resolve()) if start_from else "",
            running=True,
        ),
    )


def next_generation(stack: Stack, old: Wanted) -> Wanted:
    """The job that folds the log anew, by the declaration of now, to take the place of `old`."""
    generations = [job.generation for job in _generations(stack, old.deployment)]
    following = _job(stack, old.deployment, max(generations) + 1)
    name = f"{old.deployment}-g{following.generation}"
    return replace(following, name=name, parallelism=old.parallelism, state=old.state)


def _fresh(stack: Stack, deployment: str) -> Wanted:
    """A job without state; of a new generation when the declaration is another than before."""
    newest = max(_generations(stack, deployment), key=lambda job: job.generation, default=None)
    if newest is None:
        return _job(stack, deployment, 0)
    again = _job(stack, deployment, newest.generation)
    same = again.environment["MILLRACE_FEATURES"] == newest.environment["MILLRACE_FEATURES"]
    return again if same else _job(stack, deployment, newest.generation + 1)


def _generations(stack: Stack, deployment: str) -> list[Wanted]:
    namespace = stack.environment()["MILLRACE_NAMESPACE"]
    return [
        job
        for job in known(stack.home).values()
        if (job.deployment, job.namespace) == (deployment, namespace)
    ]


def _job(stack: Stack, deployment: str, generation: int) -> Wanted:
    if generation >= GENERATIONS:
        raise StackError(
            f"{deployment} has had {GENERATIONS} generations, and versions have room for no more: "
            "submit it into a namespace of its own (MILLRACE_NAMESPACE)."
        )
    settings = stack.settings()
    told = stack.environment()
    since = replay_since(time.time_ns() // 1_000_000, settings.horizon_ms)
    run = f"{deployment}-g{generation}" if generation else deployment
    return Wanted(
        name=deployment,
        title=f"{settings.namespace}-{run}",
        script=str(SCRIPT),
        arguments=(
            *("--deployment", deployment),
            *("--since", str(since)),
            *("--generation", str(generation)),
        ),
        deployment=deployment,
        generation=generation,
        state_life_s=LONGEST_OUTAGE_S,
        environment={name: told[name] for name in DEFAULTS} | freeze(stack.home, settings.features),
    )
