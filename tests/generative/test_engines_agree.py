"""Whatever arrives, in whatever order: the reference, Flink and Spark make the same tiles."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_store import declaration
from feature_store.events import Interaction, decode_interaction
from feature_store.reference import Message, fold
from tests.builders import HOUR
from tests.generative.worlds import HORIZON, WORLDS, Step, messages, shuffled, worlds
from tests.spec.engines import ENGINES, Tiles

pytestmark = pytest.mark.generative

FEATURES = declaration.load("feature_store.features")
REFERENCE = ENGINES["reference"]()
OTHERS = [name for name in ENGINES if name != "reference"]
#: `MILLRACE_SEED=n` draws other worlds, and the same ones again.
SEED = int(os.environ.get("MILLRACE_SEED", "7"))


@pytest.fixture(scope="module")
def drawn() -> list[list[Step]]:
    """Twice as many worlds as a property has examples: they share one job."""
    return worlds(2 * settings.default.max_examples, SEED)


def disagreements(found: Tiles, expected: Tiles) -> dict[int, list[str]]:
    """By world: the tiles that are not the same."""
    wrong: dict[int, list[str]] = {}
    for address in sorted(found.keys() | expected.keys()):
        if found.get(address) != expected.get(address):
            world = int(address[1].removeprefix("anon:").split("/")[0])
            said = f"{address}: {found.get(address)}, reference {expected.get(address)}"
            wrong.setdefault(world, []).append(said)
    return wrong


@pytest.mark.parametrize("engine", OTHERS)
def test_an_engine_makes_the_tiles_of_the_reference(engine: str, drawn: list[list[Step]]) -> None:
    log = messages(drawn)
    found = ENGINES[engine]().tiles(FEATURES, HORIZON, log)
    wrong = disagreements(found, REFERENCE.tiles(FEATURES, HORIZON, log))
    for world, said in list(wrong.items())[:1]:  # one world, alone and whole, is enough to read
        print(f"MILLRACE_SEED={SEED}, world {world}:", *said, sep="\n  ")
        print(*messages(drawn, only=world), sep="\n  ")
    assert not wrong


def test_the_worlds_hold_what_can_go_wrong(drawn: list[list[Step]]) -> None:
    folded = fold(FEATURES, messages(drawn), HORIZON)
    counts, reasons = folded.counts, {reason for _, reason in folded.dead_letters}
    for fate in ("applied", "duplicates", "late", "dead_lettered"):
        assert counts[fate] > len(drawn) // 10, fate
    assert "event_time: from the future" in reasons
    assert counts["sent"] == sum(counts.values()) - counts["sent"]


def jumps(log: Sequence[Message]) -> Counter[str]:
    """How often the clock of an actor has jumped between two interactions, or was ahead."""
    found, lags = Counter[str](), dict[str, int]()
    for message in log:
        event = decode_interaction(message.value, message.append_time)
        if isinstance(event, Interaction):
            lag = message.append_time - event.event_time
            before = lags.get(event.actor, lag)
            found["back"] += lag - before >= HOUR
            found["forward"] += before - lag >= HOUR
            found["ahead"] += lag < 0
            lags[event.actor] = lag
    return found


def test_the_worlds_hold_clocks_that_jump(drawn: list[list[Step]]) -> None:
    found = jumps(messages(drawn))
    for jump in ("back", "forward", "ahead"):
        assert found[jump] > len(drawn) // 10, found


@given(WORLDS, st.randoms(use_true_random=False))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_order_of_distinct_events_does_not_matter(
    world: list[Step], choice: random.Random
) -> None:
    log = messages([[step for step in world if step.fate not in ("copy", "retold")]])
    order = list(range(len(log)))
    choice.shuffle(order)
    in_order = REFERENCE.tiles(FEATURES, HORIZON, log)
    assert REFERENCE.tiles(FEATURES, HORIZON, shuffled(log, order)) == in_order


def test_an_engine_with_another_horizon_is_found_out(drawn: list[list[Step]]) -> None:
    log = messages(drawn)
    found = REFERENCE.tiles(FEATURES, HORIZON // 2, log)
    assert disagreements(found, REFERENCE.tiles(FEATURES, HORIZON, log))
