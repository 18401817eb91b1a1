"""What was said of items and users, as slowly changing history: which version held when.

The landed log of a topic that describes is all its versions; here each gets the time for which it
held. A repeated description is no new version.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch.lake import Lake
from feature_store.settings import Settings
from feature_store.topics import Topic

#: The end of a version that still holds.
OPEN: Final = 2**63 - 1
_ORDER: Final = ("append_time", "partition", "offset")


def versions(settings: Settings, lake: Lake, topic: Topic) -> pa.Table:
    """Every version of every key of a topic, by key and time.

    The topic's columns, with `valid_from` and `valid_until` (ms, exclusive; `OPEN` while it
    holds). A version holds from its arrival in the log. The first one of a key holds from ever:
    a catalogue is often sent after what happened to its items, and there was no other before it.
    """
    landed = lake.table(settings.topic(topic.name), topic.name)
    return dated(landed.filter(pc.is_null(landed["reason"])), topic.key)


def dated(rows: pa.Table, key: str) -> pa.Table:
    """The versions among accepted rows; see `versions`."""
    rows = rows.sort_by([(name, "ascending") for name in (key, *_ORDER)])
    rows = rows.filter(pa.array(~_repeats(rows, key)))
    follows = np.concatenate([[False], _same(rows, key)])[: len(rows)]
    arrived = rows["append_time"].to_numpy()
    begins = np.where(follows, arrived, 0)
    ends = np.full(len(rows), OPEN)
    ends[:-1][follows[1:]] = arrived[1:][follows[1:]]
    return rows.append_column("valid_from", pa.array(begins, pa.int64())).append_column(
        "valid_until", pa.array(ends, pa.int64())
    )


def as_of(history: pa.Table, moment: int) -> pa.Table:
    """The version of each key that held at `moment` (ms); of deleted ones none."""
    begun = pc.less_equal(history["valid_from"], moment)
    lasts = pc.greater(history["valid_until"], moment)
    return history.filter(pc.and_(pc.and_(begun, lasts), pc.invert(history["deleted"])))


def _repeats(rows: pa.Table, key: str) -> Any:
    """Which rows say of their key just what the row before says."""
    if not len(rows):
        return np.zeros(0, np.bool_)
    repeated = _same(rows, key)
    for column in ("raw", "deleted"):
        repeated &= _same(rows, column)
    return np.concatenate([[False], repeated])


def _same(rows: pa.Table, column: str) -> Any:
    """Whether each row but the first has the value of the row before; null equals null."""
    values = rows[column].combine_chunks()
    before, after = values[:-1], values[1:]
    both = pc.and_(pc.is_null(before), pc.is_null(after))
    equal = pc.fill_null(pc.equal(before, after), False)
    return pc.or_(equal, both).to_numpy(zero_copy_only=False)
