"""Bad messages, bad order, bad clocks, silence and a flood: every count stays exact."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import pytest

from feature_store.events import InvalidEvent, decode_interaction
from infra.traffic.message import Message
from infra.traffic.simulation import made_up_world
from infra.traffic.simulator import Plan, simulate
from tests.faults.bad_input import POISONS, Bytes, disordered, poisoned
from tests.faults.load import SPREAD_MS, Witness, shoppers, view
from tests.faults.marks import flood
from tests.faults.oracle import misfiled, reasons
from tests.faults.trial import SEED, Trial

#: A minute of 2,000 a second while the job was down, then ten seconds of five times as many.
ARRIVAL_EPS, DOWN_S = 2_000, 60
BURST, BURST_S = 5, 10


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def unspoiled(messages: Iterable[Message]) -> Iterator[Bytes]:
    return (Bytes(message.key, message.value) for message in messages)


def test_every_poison_is_refused_by_the_contract() -> None:
    world = made_up_world(users=2, items=2, seed=SEED)
    plan = Plan(world.catalogue, world.user_ids, now_ms() - SPREAD_MS, 1.0, SEED)
    good = next(simulate(plan)).value or b""
    for name, spoil in POISONS.items():
        assert isinstance(decode_interaction(spoil(good), now_ms()), InvalidEvent), name


@pytest.mark.trial
def test_poison_restarts_nothing_and_vanishes_nowhere(trial: Trial) -> None:
    witness = Witness(trial.settings)
    clean = flood(witness, unspoiled(shoppers(50_000, SEED)))
    trial.deploy("hot")
    clean_eps = clean.rate(trial)
    where = trial.stop("hot")
    poisonous = flood(witness, poisoned(shoppers(50_000, SEED + 1), share=0.01, seed=SEED))
    trial.deploy("hot", start_from=where)
    good_eps = poisonous.rate(trial) * 50_000 / poisonous.messages
    witness.close()
    trial.drain("hot")
    verdict, restarts = trial.judge("hot", witness.acknowledged), trial.restarts("hot")
    letters = reasons(trial.dead_letters())
    counts = verdict.counts
    trial.report(
        "poison",
        restarts=restarts,
        dead_letters=len(letters),
        clean_eps=clean_eps,
        good_eps=good_eps,
        good_to_clean=good_eps / clean_eps,
        **verdict.figures(),
    )
    assert restarts == 0
    assert misfiled(verdict, letters) == []
    assert len(letters) == poisonous.messages - 50_000
    not_dead = sum(counts.get(fate, 0) for fate in ("applied", "duplicates", "late"))
    assert not_dead + len(letters) == counts["sent"] == len(witness.acknowledged)
    assert verdict.right, verdict.examples


@pytest.mark.trial
def test_disorder_leaves_every_count_exact(trial: Trial) -> None:
    trial.deploy("hot")
    witness = Witness(trial.settings)
    witness.send_all(disordered(shoppers(50_000, SEED), now_ms(), trial.settings.horizon_ms, SEED))
    after_all = trial.probe(witness)  # an event of now is not held up by one of next year
    witness.close()
    trial.drain("hot")
    verdict, restarts = trial.judge("hot", witness.acknowledged), trial.restarts("hot")
    trial.report("disorder", probe_s=after_all, restarts=restarts, **verdict.figures())
    assert restarts == 0
    assert verdict.right, verdict.examples
    assert verdict.counts["duplicates"] > 8_000
    assert verdict.counts["late"] > 800
    assert verdict.counts["dead_lettered"] > 100


@pytest.mark.trial
def test_idle_partitions_hold_nothing_up(trial: Trial) -> None:
    trial.deploy("hot")
    witness = Witness(trial.settings)
    for number in range(500):
        sent = view(f"user-{number % 20}", f"idle-{number}", now_ms(), item=f"item-{number % 5}")
        witness.send(sent.key, sent.value, partition=0)
    witness.flush()
    seconds = trial.wait_for(lambda: trial.trends("item-1"), "a trending list of one partition")
    witness.close()
    trial.drain("hot")
    verdict = trial.judge("hot", witness.acknowledged)
    trial.report("idle partition", trending_after_s=seconds, **verdict.figures())
    assert {message.partition for message in trial.log()} == {0}
    assert verdict.right, verdict.examples


@pytest.mark.trial
def test_a_backlog_is_caught_up_with(trial: Trial) -> None:
    trial.deploy("hot")
    witness = Witness(trial.settings)
    trial.probe(witness)
    where = trial.stop("hot")
    backlog = ARRIVAL_EPS * DOWN_S + BURST * ARRIVAL_EPS * BURST_S
    waiting = flood(witness, unspoiled(shoppers(backlog, SEED)))
    trial.deploy("hot", start_from=where)
    caught_up_eps = waiting.rate(trial)
    witness.close()
    trial.drain("hot")
    verdict = trial.judge("hot", witness.acknowledged)
    trial.report(
        "backlog",
        backlog=backlog,
        arrival_eps=ARRIVAL_EPS,
        caught_up_eps=caught_up_eps,
        catch_up_to_arrival=caught_up_eps / ARRIVAL_EPS,
        **verdict.figures(),
    )
    assert verdict.right, verdict.examples
