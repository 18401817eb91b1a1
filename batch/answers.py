"""What serving showed, as landed: the answers that the log alone can make again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow.parquet as pq

from batch.day_profile import day_of
from batch.lake import Lake
from feature_store.topics import IMPRESSIONS
from models.interactions import Floats

#: The budget: of more answers than this, every n-th is read.
MOST: Final = 500
#: The same for learning, which reads no vectors.
MANY: Final = 20_000
#: Rows of a file in memory at once.
_CHUNK: Final = 256


@dataclass(frozen=True, slots=True)
class Shown:
    """One item of an answer: `vector` is (columns,) as it was ranked, NaN where nothing known."""

    item_id: str
    sources: tuple[str, ...]
    vector: Floats


@dataclass(frozen=True, slots=True)
class Answer:
    """What one actor was shown at a moment (ms)."""

    actor: str
    shown_at: int
    items: tuple[Shown, ...]


def answers(messages: Iterable[bytes | str], bundle_id: str) -> list[Answer]:
    """The comparable answers of one bundle, in order of time; others are passed over.

    One of which a part was missing was not made from what the log knows, one shown again was made
    earlier, and one that was not `plain` was made from what its request said besides.
    """
    found = []
    for message in messages:
        said = orjson.loads(message)
        if said.get("bundle") == bundle_id and said.get("plain") and not _special(said):
            found.append(Answer(said["actor"], said["shown_at"], tuple(_items(said["items"]))))
    return sorted(found, key=lambda one: (one.shown_at, one.actor))


def landed_since(lake: Lake, topic: str, since: Mapping[str, int]) -> Iterator[str]:
    """The bodies of impressions landed from these offsets on (partition -> offset).

    About `MOST` of them, evenly spread, whatever was landed.
    """
    landed = lake.landed(topic)
    fresh = [b for b in landed.batches if any(since.get(p, 0) < end for p, end in b.until.items())]
    step = -(-sum(batch.rows for batch in fresh) // MOST)
    named = {landed.path(file) for file in landed.of_batches([batch.name for batch in fresh])}
    wanted = (path for path in lake.files(topic, IMPRESSIONS.name) if path in named)
    for place, offset, body in _bodies(wanted, step):
        if offset >= since.get(place, 0):
            yield body


def landed_from(lake: Lake, topic: str, moment: int) -> Iterator[str]:
    """The same from the day of a moment (ms) on, for all who showed them; about `MANY`."""
    landed, since = lake.landed(topic), day_of(moment)
    step = -(-sum(file.rows for file in landed.since(since)) // MANY)
    for _, _, body in _bodies(lake.files(topic, IMPRESSIONS.name, since), step):
        yield body


def _bodies(paths: Iterable[Path], step: int) -> Iterator[tuple[str, int, str]]:
    """(partition, offset, body) of every `step`-th message."""
    for path in paths:
        for chunk in pq.ParquetFile(path).iter_batches(
            _CHUNK, columns=["partition", "offset", "body"]
        ):
            for row in chunk.to_pylist():
                if row["body"] is not None and row["offset"] % step == 0:
                    yield str(row["partition"]), row["offset"], row["body"]


def _special(said: Mapping[str, Any]) -> bool:
    return bool(said.get("degraded") or said.get("made_as"))


def _items(said: Iterable[Mapping[str, Any]]) -> Iterator[Shown]:
    for item in said:
        if item.get("vector") is not None:
            values = [np.nan if value is None else value for value in item["vector"]]
            yield Shown(item["item_id"], tuple(item["sources"]), np.asarray(values, np.float32))
