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

#: name -> the jobs, who is killed in turn, how many events at least, how many a second
CRASHES = {
    "three kills": (("hot",), (TASK_MANAGER, "kafka", "redis"), 4_000, 200),
    "crash loop": (
        ("hot",), (TASK_MANAGER, TASK_MANAGER, JOB_MANAGER, TASK_MANAGER), 100_000, 1_000,
    ),
    "broker kill": (("hot",), ("kafka", "kafka", "kafka"), 30_000, 500),
    "both jobs": (("hot", "kept"), (TASK_MANAGER, JOB_MANAGER, "kafka", "cassandra"), 30_000, 400),
}  # fmt: skip
LONG = pytest.mark.trial


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=LONG if name != "three kills" else ()) for name in CRASHES]
)
def test_kills_lose_nothing_and_count_nothing_twice(trial: Trial, name: str) -> None:
    deployments, victims, events, rate = CRASHES[name]
    moments = random.Random(SEED)
    trial.deploy(*deployments)
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
    trial.drain(*deployments)
    *others, verdict = (trial.judge(job, witness.acknowledged) for job in deployments)
    trial.report(
        name,
        jobs=deployments,
        killed=victims,
        events=events,
        refused=witness.refused,
        running_again_s=[round(seconds, 1) for seconds in running_again[1:]],
        lag_0_after_s=caught_up,
        others_right=[other.right for other in others],
        **verdict.figures(),
    )
    for one in (*others, verdict):
        assert one.right, one.examples
    assert verdict.counts["applied"] > 0.9 * events
    if name == "three kills":  # the count that other trials want to be 0 does count
        assert trial.restarts("hot") > 0


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
    assert verdict.right, verdict.examples
