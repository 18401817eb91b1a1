"""Processes are killed under load: nothing is lost and nothing is counted twice.

kill -9 is not power loss, and one node proves nothing about replication.
"""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.cluster import JOB_MANAGER, TASK_MANAGER, kill, kill_a_worker
from tests.faults.load import Load, Witness, shoppers
from tests.faults.trial import SEED, Trial

#: name -> who is killed in turn, how many events at least, how many a second
CRASHES = {
    "three kills": ((TASK_MANAGER, "kafka", "redis"), 4_000, 200),
    "crash loop": ((TASK_MANAGER, TASK_MANAGER, JOB_MANAGER, TASK_MANAGER), 100_000, 1_000),
    "broker kill": (("kafka", "kafka", "kafka"), 30_000, 500),
}
LONG = pytest.mark.trial


@pytest.mark.parametrize(
    "name", ["three kills", *(pytest.param(n, marks=LONG) for n in ("crash loop", "broker kill"))]
)
def test_kills_lose_nothing_and_count_nothing_twice(trial: Trial, name: str) -> None:
    victims, events, rate = CRASHES[name]
    moments = random.Random(SEED)
    trial.deploy("hot")
    witness = Witness(trial.settings)
    running_again = [trial.probe(witness)]
    # As many as it takes: on a slow machine what was killed comes back late.
    with Load(witness, shoppers(50 * events, SEED), rate, at_least=events) as load:
        for victim in victims:
            time.sleep(moments.uniform(1, 6))
            assert load.under_way, f"the load ended before {victim} was killed"
            back = kill(trial.stack, victim)
            running_again.append(back + trial.probe(witness))
    witness.close()
    caught_up = trial.drain("hot")
    verdict = trial.judge("hot", witness.acknowledged)
    trial.report(
        name,
        killed=victims,
        events=events,
        refused=witness.refused,
        running_again_s=[round(seconds, 1) for seconds in running_again[1:]],
        lag_0_after_s=caught_up,
        **verdict.figures(),
    )
    assert verdict.right, verdict.comparison.examples
    assert verdict.counts["applied"] > 0.9 * events


@pytest.mark.trial
def test_a_killed_worker_loses_nothing_and_counts_nothing_twice(trial: Trial) -> None:
    trial.deploy("hot")
    witness = Witness(trial.settings)
    trial.probe(witness)
    with Load(witness, shoppers(20_000, SEED), rate=500) as load:
        time.sleep(5)
        assert load.under_way
        workers = kill_a_worker(trial.stack)
        running_again = trial.probe(witness)
    witness.close()
    trial.drain("hot")
    verdict = trial.judge("hot", witness.acknowledged)
    trial.report("worker kill", workers=workers, running_again_s=running_again, **verdict.figures())
    assert workers, "the job has no Python worker to kill"
    assert verdict.right, verdict.comparison.examples
