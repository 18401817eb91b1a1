"""Planted bugs: each trial's judge must turn red for what the trial is there to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from feature_store import declaration
from feature_store.reference import Fold, Message, fold
from feature_store.stores.memory import MemoryStore
from feature_store.tiles import Tile
from tests.builders import DAY, NOON, log_of, purchase, view
from tests.faults.load import Position
from tests.faults.oracle import Verdict, judge, misfiled, newest, reasons
from tests.faults.trial import beyond

FEATURES = declaration.load("feature_store.features")
HORIZON = 30 * DAY
LOG = log_of(
    [
        *(view(f"user-{n % 7}", f"item-{n % 5}", at=NOON + n * 1000) for n in range(60)),
        first := purchase("user-1", "item-1", at=NOON, price=2.5),
        first.again(after=5000),
        view("user-2", "item-2", at=NOON - HORIZON, arrives=NOON + 70_000),
        view("user-2", "item-2", at=NOON + 365 * DAY, arrives=NOON + 71_000),
    ]
)
ACKNOWLEDGED = {(message.partition, message.offset): message.value for message in LOG}


@dataclass(frozen=True)
class Bug:
    """What a broken pipeline would write, from the log."""

    trial: str
    says: str
    tiles: Callable[[list[Message]], list[Tile]]
    acknowledged: dict[Position, bytes | None] | None = None
    recents: Callable[[list[Message]], list[Message]] = list


def tiles(log: list[Message], horizon_ms: int = HORIZON) -> list[Tile]:
    return list(fold(FEATURES, log, horizon_ms).tiles())


def as_another_event(message: Message) -> Message:
    """The same event under another id: what a forgotten deduplication would make of a copy."""
    return replace(message, value=(message.value or b"").replace(b'"event-', b'"again-'))


def in_time(message: Message) -> Message:
    """The same message appended a year later: what believing a wrong clock would make of it."""
    return replace(message, append_time=message.append_time + 365 * DAY)


def touched(log: list[Message], since: int) -> list[Tile]:
    """The tiles that the messages from there on changed: what a stream alone writes again."""
    return list({*tiles(log)} - {*tiles(log[:since])})


def restored(log: list[Message], until: int, since: int) -> list[Tile]:
    """A copy that ends too early, and what the stream wrote after it was read."""
    return [*tiles(log[:until]), *touched(log, since)]


BUGS = [
    Bug("crash loop", "events since the checkpoint are gone", lambda log: tiles(log[:30])),
    Bug("crash loop", "a replay counts again", lambda log: tiles([*log, as_another_event(log[0])])),
    Bug("worker kill", "a bundle is gone", lambda log: tiles([*log[:10], *log[15:]])),
    Bug("broker kill", "an acknowledged message is gone", tiles, {**ACKNOWLEDGED, (0, 999): b"{}"}),
    Bug("broker kill", "an acknowledged message is another", tiles, {**ACKNOWLEDGED, (0, 3): b""}),
    Bug("disorder", "a late event is applied", lambda log: tiles(log, HORIZON + DAY)),
    Bug("disorder", "a future event is applied", lambda log: tiles([*log, in_time(log[-1])])),
    Bug("idle partition", "a partition is not read", lambda log: tiles(log[1::2])),
    Bug("backlog", "only the newest are read", lambda log: tiles(log[-30:])),
    Bug("store killed", "a batch is dropped", lambda log: tiles(log)[:-8]),
    Bug("store frozen", "an older write lands last", lambda log: tiles(log)[1:] + tiles(log[:1])),
    Bug("store reset", "half a batch is written", lambda log: tiles(log)[::2]),
    Bug("store killed", "a recent is dropped", tiles, recents=lambda log: log[1:]),
    Bug("poison", "a refused one is kept", tiles, recents=lambda log: [*log, in_time(log[-1])]),
    Bug("redis flushed", "recents do not come back", tiles, recents=lambda log: log[30:]),
    Bug("redis flushed", "nothing comes back", lambda log: touched(log, since=57)),
    Bug("redis flushed", "an older copy comes back", lambda log: restored(log, 50, since=57)),
    Bug("redis flushed", "all comes back as it was", lambda log: tiles(log[:30])),
]  # fmt: skip


def verdict(bug: Bug) -> Verdict:
    store = MemoryStore()
    store.write_tiles(bug.tiles(LOG))
    state = Fold(FEATURES, HORIZON)
    applied = [event for message in bug.recents(LOG) if (event := state.add(message))]
    store.write_recents((who, one) for who, theirs in newest(applied).items() for one in theirs)
    return judge(store, LOG, bug.acknowledged or ACKNOWLEDGED, FEATURES, HORIZON)


def test_a_pipeline_without_a_bug_is_right() -> None:
    fine = verdict(Bug("", "", tiles))
    assert fine.right
    assert fine.hashes[0] == fine.hashes[1]
    assert (fine.counts["duplicates"], fine.counts["late"], fine.counts["dead_lettered"]) == (
        1,
        1,
        1,
    )


@pytest.mark.parametrize("bug", BUGS, ids=[f"{bug.trial}: {bug.says}" for bug in BUGS])
def test_a_planted_bug_turns_its_trial_red(bug: Bug) -> None:
    assert not verdict(bug).right


#: Where the one message of the log is that its contract refuses, and why.
REFUSED, FROM_THE_FUTURE = (0, len(LOG) - 1), "event_time: from the future"


def letter(place: Position = REFUSED, reason: str = FROM_THE_FUTURE) -> dict[str, object]:
    """A dead letter as the job writes it, without what nobody judges."""
    return {"partition": place[0], "offset": place[1], "reason": reason}


def test_a_letter_for_each_refused_message_is_right_also_twice() -> None:
    fine = verdict(Bug("", "", tiles))
    assert misfiled(fine, reasons([letter(), letter()])) == []


@pytest.mark.parametrize(
    "letters",
    [
        [],
        [letter(), letter((0, 3), "json: not valid JSON")],
        [letter((0, 3))],
        [letter(reason="json: not valid JSON")],
    ],
    ids=["it vanishes", "a good one is refused too", "another one's place", "another reason"],
)
def test_a_planted_bug_of_dead_letters_turns_poison_red(letters: list[dict[str, object]]) -> None:
    assert misfiled(verdict(Bug("", "", tiles)), reasons(letters))


def test_an_event_counted_twice_is_told_from_one_that_is_lost() -> None:
    lost, twice = (verdict(bug) for bug in BUGS[:2])
    assert (lost.twice, twice.lost) == (0, 0)
    assert (lost.lost, twice.twice) == (31, 1)


def test_a_figure_beyond_its_limit_is_named() -> None:
    kept = {"running_again_s": [21.0, 60.0], "good_to_clean": 0.9, "restarts": {"hot": 0}}
    assert beyond(kept) == {}
    slow = {"running_again_s": [21.0, 61.0], "good_to_clean": 0.89}
    assert beyond(kept | slow) == slow
