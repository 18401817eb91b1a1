"""The speed layer's two deployments as Flink jobs: one code, submitted as `hot` and as `kept`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from feature_store.tiles import DAY
from infra.stack.home import REPOSITORY
from infra.stack.jobs import submit
from infra.stack.stack import Stack
from infra.stack.wanted import Wanted

SCRIPT: Final = REPOSITORY / "streaming" / "job.py"
PARALLELISM: Final = {"hot": 1, "kept": 1}
# How long an outage may last beyond the horizon before state must be folded again from the log.
LONGEST_OUTAGE_S: Final = 24 * 3600


def deploy(stack: Stack, deployment: str, start_from: Path | None = None) -> str:
    """Submit one deployment unless it runs; returns its Flink job id.

    Where it starts reading is fixed now: a later restart must not move it.
    """
    horizon_s = int(stack.environment()["MILLRACE_HORIZON_HOURS"]) * 3600
    since = DAY.start(int(time.time() - horizon_s) * 1000)
    job = Wanted(
        name=deployment,
        script=str(SCRIPT),
        arguments=("--deployment", deployment, "--since", str(since)),
        parallelism=PARALLELISM[deployment],
        state_life_s=horizon_s + LONGEST_OUTAGE_S,
    )
    return submit(stack, job, start_from)
