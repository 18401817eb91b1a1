"""What was still on its way to the stores when an answer was made.

An event counts in training from its event time on, in a store from its arrival and a little later.
In between the two differ, and neither is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch.answers import Answer
from batch.lake import Lake
from feature_store.settings import Settings
from feature_store.topics import INTERACTIONS, PROFILES
from models.interactions import Longs

#: So long after its arrival every part of serving knows an event: items are read again within a
#: minute (`serving/items.py`), users at once.
SETTLED_MS: Final = 120_000
#: The end of an event that only the next night settles.
NEVER: Final = 2**63 - 1

#: Who or what an event is about -> when it happened, and when everybody knew (ms).
Spans = Mapping[str, Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class Motion:
    """Events on their way, by actor and by item; `gone` are people who asked to be erased.

    `spans` are those of everybody's events, (events, 2).
    """

    actors: Spans = field(default_factory=dict)
    items: Spans = field(default_factory=dict)
    spans: Longs = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    gone: Collection[str] = frozenset()

    def of_actor(self, actor: str, moment: int) -> bool:
        """Whether a store and the log may disagree about a person at `moment`."""
        return actor in self.gone or _within(self.actors.get(actor, ()), moment)

    def of_item(self, item_id: str, moment: int) -> bool:
        """The same of an item."""
        return _within(self.items.get(item_id, ()), moment)

    def of_anything(self, moment: int) -> bool:
        """Whether any event at all was on its way: one moves everybody's ranks in a list."""
        begun, settled = self.spans.T
        return bool(((begun < moment) & (moment < settled)).any())


STILL: Final = Motion()


def motion(
    settings: Settings, lake: Lake, answers: Sequence[Answer], known: Mapping[str, int]
) -> Motion:
    """Around `answers` (in order of time) of a bundle whose night had landed `known` offsets.

    An event that came later than H is not the stream's: the first night to land it settles it.
    """
    if not answers:
        return STILL
    first, last = answers[0].shown_at, answers[-1].shown_at
    people = {answer.actor for answer in answers}
    shown = {item.item_id for answer in answers for item in answer.items}
    actors: dict[str, list[tuple[int, int]]] = defaultdict(list)
    items: dict[str, list[tuple[int, int]]] = defaultdict(list)
    spans = []
    for row in _newer(settings, lake, first - SETTLED_MS, known).to_pylist():
        begun, arrived = row["event_time"], row["append_time"]
        new = row["offset"] >= known.get(str(row["partition"]), 0)
        late = new and arrived - begun > settings.horizon_ms
        span = begun, NEVER if late else arrived + SETTLED_MS
        if begun > last:
            continue
        spans.append(span)
        if row["actor"] in people:
            actors[row["actor"]].append(span)
        if row["item_id"] in shown:
            items[row["item_id"]].append(span)
    every = np.asarray(spans, np.int64).reshape(-1, 2)
    return Motion(actors, items, every, _gone(settings, lake))


def _newer(settings: Settings, lake: Lake, since: int, known: Mapping[str, int]) -> pa.Table:
    """The interactions that Kafka got after a moment (ms), or that a night had not landed."""
    topic = settings.topic(INTERACTIONS.name)
    columns = ["partition", "offset", "actor", "item_id", "event_time", "append_time"]
    filters = [[("append_time", ">", since)]]
    for partition in lake.landed(topic).offsets:
        beyond = ("offset", ">=", known.get(partition, 0))
        filters.append([("partition", "=", int(partition)), beyond])
    tables = [
        pq.read_table(file, columns=columns, filters=filters, partitioning=None)
        for file in lake.files(topic, INTERACTIONS.name)
    ]
    found = pa.concat_tables(tables) if tables else pa.table({name: [] for name in columns})
    return found.drop_null()


def _gone(settings: Settings, lake: Lake) -> frozenset[str]:
    rows = lake.table(settings.topic(PROFILES.name), PROFILES.name)
    return frozenset(rows.filter(rows["deleted"])["user_id"].to_pylist())


def _within(spans: Sequence[tuple[int, int]], moment: int) -> bool:
    return any(begun < moment < settled for begun, settled in spans)
