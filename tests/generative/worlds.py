"""Worlds: small logs that Hypothesis draws, as bad as logs can be.

A world is a few people and items whose messages arrive in any order, twice, late at each level,
from the future, from epoch 0, from a year ahead, or broken. The ids of a world begin with its
number, so hundreds of them run in one job and never meet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_args

import orjson
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from feature_store.events import MAX_FUTURE_MS, InteractionType
from feature_store.reference import Message
from feature_store.tiles import LEVELS
from infra.traffic.faults import SPOILERS
from tests.builders import DAY, HOUR, MINUTE, NOON, Sent, log_of

#: H of every world.
HORIZON = 30 * DAY
YEAR = 365 * DAY
#: Who did it, and which event it was: two messages that agree in these are copies.
IDENTITY = ("event_id", "user_id", "session_id")
#: Ids that one world keeps to itself.
IDS = (*IDENTITY, "item_id")

#: What the event time lags behind the arrival: both sides of every border. It is drawn for each
#: message, so the clock of an actor jumps from one to the next: back, forward, and ahead of time.
DELAYS = st.one_of(
    st.integers(-MAX_FUTURE_MS, 3 * MINUTE),
    st.sampled_from([level.span_ms + beyond for level in LEVELS for beyond in (-1, 0, 1)]),
    st.sampled_from([HORIZON, HORIZON + 1, -MAX_FUTURE_MS, -MAX_FUTURE_MS - 1, -YEAR, YEAR]),
    st.integers(0, HORIZON),
)
#: How much later than the one before a message arrives; borders of tiles are near.
STEPS = st.sampled_from([0, 1, MINUTE - 1, MINUTE, HOUR - 1, HOUR, DAY])
PRICES = st.one_of(
    st.none(), st.integers(0, 10_000).map(lambda cents: cents / 100), st.floats(0, 1e6)
)
ACTORS = st.sampled_from(
    [
        {"user_id": "ann"},
        {"user_id": "日本"},
        {"session_id": "s"},
        {"user_id": "bob", "session_id": "s"},
    ]
)


@dataclass(frozen=True)
class Step:
    """One message: a new event, a copy of an earlier one, the same id retold, or rubbish."""

    fate: str
    fields: dict[str, Any]
    lag: int
    pause: int
    which: int
    spoiler: str
    rubbish: bytes


def bodies() -> st.SearchStrategy[dict[str, Any]]:
    """The fields of one good interaction, without its id and time."""
    return st.fixed_dictionaries(
        {
            "type": st.sampled_from(get_args(InteractionType)),
            "item_id": st.sampled_from(["milk", "tea", 'quo"te\\']),
            "value": st.sampled_from([1.0, 4.5]),
            "query": st.sampled_from(["tea", "naïve ☕"]),
        },
        optional={"price": PRICES, "quantity": st.integers(1, 100_000)},
    ).flatmap(lambda body: ACTORS.map(lambda actor: {**body, **actor}))


FATES = ("new", "new", "new", "new", "epoch 0", "copy", "retold", "spoiled", "rubbish")
WORLDS = st.lists(
    st.builds(
        Step,
        fate=st.sampled_from(FATES),
        fields=bodies(),
        lag=DELAYS,
        pause=STEPS,
        which=st.integers(0, 20),
        spoiler=st.sampled_from(sorted(SPOILERS)),
        rubbish=st.binary(max_size=40),
    ),
    min_size=1,
    max_size=12,
)


def worlds(count: int, seed_of_all: int) -> list[list[Step]]:
    """Draws that many worlds; the same seed draws the same ones.

    Hypothesis only draws here and never judges: a job that ran one world at a time would cost
    seconds for each.
    """
    drawn: list[list[Step]] = []

    @seed(seed_of_all)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(WORLDS)
    def draw(world: list[Step]) -> None:
        drawn.append(world)

    draw()
    return drawn


def messages(drawn: list[list[Step]], only: int | None = None) -> list[Message]:
    """The worlds as one log, one after the other; or one of them alone, under its own ids."""
    chosen = range(len(drawn)) if only is None else [only]
    return log_of([sent for number in chosen for sent in told(number, drawn[number])])


def told(world: int, steps: list[Step]) -> list[Sent]:
    """What a world sends, in the order of arrival."""
    clock, good, sent = NOON, list[dict[str, Any]](), list[Sent]()
    for number, step in enumerate(steps):
        clock += step.pause
        body = _body(world, number, step, clock, good)
        if isinstance(body, dict):
            good.append(body)
        sent.append(Sent(body, clock))
    return sent


def _body(
    world: int, number: int, step: Step, clock: int, good: list[dict[str, Any]]
) -> dict[str, Any] | bytes:
    when = 0 if step.fate == "epoch 0" else clock - step.lag
    fresh = {"event_id": f"e{number}", **step.fields, "event_time": when}
    fresh = {key: f"{world}/{value}" if key in IDS else value for key, value in fresh.items()}
    earlier = good[step.which % len(good)] if good else fresh
    match step.fate:
        case "copy":
            return earlier
        case "retold":
            mine = {key: value for key, value in fresh.items() if key not in IDENTITY}
            return mine | {key: earlier[key] for key in IDENTITY if key in earlier}
        case "spoiled":
            return SPOILERS[step.spoiler](orjson.dumps(fresh)) or b""
        case "rubbish":
            return step.rubbish
    return fresh


def shuffled(log: list[Message], order: list[int]) -> list[Message]:
    """The same messages in another order; each still says when it was appended."""
    return [replace(log[place], offset=offset) for offset, place in enumerate(order)]
