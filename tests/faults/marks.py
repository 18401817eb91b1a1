"""Marks around a flood: when the first and the last message of it reached Redis."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from feature_store.topics import INTERACTIONS
from tests.faults.bad_input import Bytes
from tests.faults.load import Witness, view
from tests.faults.trial import Trial

_floods = count()


@dataclass(frozen=True)
class Flood:
    """Messages in the log between two marks in every partition."""

    messages: int
    first: tuple[str, ...]
    last: tuple[str, ...]

    def rate(self, trial: Trial) -> float:
        """Messages a second, from the first mark seen in Redis to the last; the job has started."""
        trial.wait_for(lambda: any(map(trial.knows, self.first)), "the beginning of a flood")
        begun = time.monotonic()
        trial.wait_for(lambda: all(map(trial.knows, self.last)), "the end of a flood")
        return self.messages / (time.monotonic() - begun)


def flood(witness: Witness, messages: Iterable[Bytes]) -> Flood:
    """Sends the messages at full speed, between marks."""
    number = next(_floods)
    first = _mark(witness, f"before-{number}")
    sent = 0
    for message in messages:
        witness.send(message.key, message.value)
        sent += 1
    witness.flush()
    return Flood(sent, first, _mark(witness, f"after-{number}"))


def _mark(witness: Witness, name: str) -> tuple[str, ...]:
    """One view in each partition, by an actor of that name and partition."""
    marks = []
    for partition in range(INTERACTIONS.partitions):
        actor = f"{name}-{partition}"
        sent = view(actor, actor, at=time.time_ns() // 1_000_000)
        witness.send(sent.key, sent.value, partition)
        marks.append(actor)
    witness.flush()
    return tuple(marks)
