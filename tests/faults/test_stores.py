"""A store dies, freezes or drops its connections while it is written to: it ends up exact.

Its job waits without a restart; the job of the other store does not notice.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from infra.stack.stack import Stack
from tests.faults.cluster import flush_redis, frozen, killed, reset
from tests.faults.load import Load, Witness, shoppers
from tests.faults.trial import SEED, Trial
from tests.scrape import wait_for_stores

pytestmark = pytest.mark.trial

Hurt = Callable[[Stack, str], AbstractContextManager[None]]
#: How long a service stays frozen, and how long its connections are cut.
SECONDS = 30


@pytest.mark.parametrize("hurt", [killed, frozen, reset])
def test_redis_is_exact_after_it_heals_and_kept_does_not_notice(trial: Trial, hurt: Hurt) -> None:
    trial.deploy("hot", "kept")
    witness = Witness(trial.settings)
    trial.probe(witness)
    with Load(witness, shoppers(40_000, SEED), rate=500) as load:
        time.sleep(5)
        assert load.under_way
        with hurt(trial.stack, "redis"):
            time.sleep(0 if hurt is killed else SECONDS)
            if hurt is frozen:
                wait_for_stores(trial.stack, trial.settings.namespace, hot=True, kept=False)
            kept_meanwhile = trial.drain("kept")
        fresh_again = trial.probe(witness)
        exact_again = fresh_again + trial.drain("hot")
    witness.close()
    drained = trial.drain("hot", "kept")
    wait_for_stores(trial.stack, trial.settings.namespace, hot=False, kept=False)
    hot, kept = (trial.judge(name, witness.acknowledged) for name in ("hot", "kept"))
    restarts = {name: trial.restarts(name) for name in ("hot", "kept")}
    trial.report(
        f"redis {hurt.__name__}",
        kept_drained_meanwhile_s=kept_meanwhile,
        fresh_again_s=fresh_again,
        exact_again_s=exact_again,
        drained_after_load_s=drained,
        restarts=restarts,
        kept_right=kept.right,
        **hot.figures(),
    )
    assert hot.right, hot.examples
    assert kept.right, kept.examples
    assert restarts == {"hot": 0, "kept": 0}


@pytest.mark.parametrize("hurt", [killed, frozen])
def test_cassandra_is_exact_after_it_heals_and_hot_does_not_notice(
    trial: Trial, hurt: Hurt
) -> None:
    trial.deploy("hot", "kept")
    witness = Witness(trial.settings)
    before = trial.probe(witness)
    with Load(witness, shoppers(30_000, SEED), rate=400) as load:
        time.sleep(SECONDS)  # the kept job writes twice a minute
        assert load.under_way
        with hurt(trial.stack, "cassandra"):
            meanwhile = [trial.probe(witness) for _ in range(5)]
            time.sleep(0 if hurt is killed else SECONDS)
            if hurt is frozen:
                wait_for_stores(trial.stack, trial.settings.namespace, hot=False, kept=True)
        exact_again = trial.drain("kept")
    witness.close()
    drained = trial.drain("hot", "kept")
    wait_for_stores(trial.stack, trial.settings.namespace, hot=False, kept=False)
    hot, kept = (trial.judge(name, witness.acknowledged) for name in ("hot", "kept"))
    restarts = {name: trial.restarts(name) for name in ("hot", "kept")}
    trial.report(
        f"cassandra {hurt.__name__}",
        hot_probe_before_s=before,
        hot_probes_meanwhile_s=[round(seconds, 2) for seconds in meanwhile],
        exact_again_s=exact_again,
        drained_after_load_s=drained,
        restarts=restarts,
        hot_right=hot.right,
        **kept.figures(),
    )
    assert hot.right, hot.examples
    assert kept.right, kept.examples
    assert restarts == {"hot": 0, "kept": 0}


def test_one_command_refills_a_redis_that_forgot_everything(trial: Trial) -> None:
    trial.deploy("hot", "kept")
    witness = Witness(trial.settings)
    with Load(witness, shoppers(30_000, SEED), rate=400) as load:
        time.sleep(SECONDS)
        assert load.under_way
        forgotten = flush_redis(trial.stack)
        seconds = rebuild(trial.stack)
        fresh_again = trial.probe(witness)
    witness.close()
    trial.drain("hot")
    verdict = trial.judge("hot", witness.acknowledged)
    trial.report(
        "redis flushed",
        keys_forgotten=forgotten,
        rebuilt_s=seconds,
        fresh_again_s=fresh_again,
        **verdict.figures(),
    )
    assert verdict.right, verdict.examples


def rebuild(stack: Stack) -> float:
    """Types `millrace rebuild`; returns the seconds it took."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "infra.cli", "rebuild"]
    done = subprocess.run(
        command, env=stack.children_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - begun
