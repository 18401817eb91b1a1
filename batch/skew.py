"""The skew check: vectors that serving ranked with, made again from the log as of their moment.

What training would have seen must be what was served. On a quiet platform nothing differs; an
event that was still on its way to the stores when an answer was made shows here as a mismatch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from batch.asof import AsOf
from batch.history import History
from feature_store.declaration import Declaration
from models.interactions import Bools, Floats
from models.retrieval import retrieve
from models.rows import columns, rows
from models.sources import Sources

#: Two values this close, relative to the larger one, are the same: float32 keeps seven digits.
TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Served:
    """One item of one answer: `vector` is (columns,) as it was ranked, NaN where nothing known."""

    actor: str
    shown_at: int
    item_id: str
    vector: Floats


@dataclass(frozen=True, slots=True)
class Skew:
    """How many vectors were compared and how many differ; by column how many values do.

    `missing` counts items that retrieval would not have offered at that moment.
    """

    compared: int
    mismatched: int
    missing: int
    columns: Mapping[str, int]
    worst: float

    @property
    def none(self) -> bool:
        """Everything compared is the same, and nothing is missing."""
        return not self.mismatched and not self.missing


def served(messages: Iterable[bytes], bundle_id: str) -> list[Served]:
    """The vectors in impressions of one bundle, in order of time; others are passed over.

    An answer of which a part was missing was not made from what the log knows, and one shown again
    was made earlier; both say so.
    """
    found = []
    for message in messages:
        said = orjson.loads(message)
        if said["bundle"] != bundle_id or said["degraded"] or said.get("made_as"):
            continue
        found += [
            Served(said["actor"], said["shown_at"], item["item_id"], _floats(item["vector"]))
            for item in said["items"]
            if item["vector"] is not None
        ]
    return sorted(found, key=lambda one: (one.shown_at, one.actor))


def skew(
    declaration: Declaration, history: History, sources: Sources, shown: Sequence[Served]
) -> Skew:
    """Compares `shown` (in order of time) with what the log says.

    The first items of `history` are those of the bundle that holds `sources`, in its order; raises
    `ValueError` when they are not.
    """
    if history.items.ids[: len(sources.item_ids)] != sources.item_ids:
        raise ValueError("the history's items are not the bundle's: read it over the bundle's list")
    names, walk = columns(declaration), AsOf(declaration, history)
    differing: Counter[str] = Counter()
    compared, mismatched, missing, worst = 0, 0, 0, 0.0
    for one in shown:
        again = _again(declaration, sources, walk, one)
        if again is None:
            missing += 1
            continue
        gaps = _gaps(one.vector, again)
        wrong: Bools = gaps > TOLERANCE
        compared, mismatched = compared + 1, mismatched + bool(wrong.any())
        worst = max(worst, float(gaps.max(initial=0)))
        differing.update(name for name, bad in zip(names, wrong, strict=True) if bad)
    return Skew(compared, mismatched, missing, dict(differing.most_common()), worst)


def _again(declaration: Declaration, sources: Sources, walk: AsOf, one: Served) -> Floats | None:
    """The item's vector from the log alone; None where retrieval does not offer it."""
    now = one.shown_at
    walk.advance(now)
    user = walk.user(one.actor, now)
    found = retrieve(sources, user, now, walk.trending(now))
    place = np.flatnonzero(found.positions == sources.index_of.get(one.item_id, -1))
    if not len(place):
        return None
    items = walk.columns(sources.columns)
    row: Floats = rows(declaration, sources, items, user, found, now)[place[0]]
    return row


def _gaps(ours: Floats, theirs: Floats) -> npt.NDArray[np.float64]:
    """Relative differences, (columns,); unknown on both sides is the same, on one is infinite."""
    one, other = ours.astype(np.float64), theirs.astype(np.float64)
    unknown = np.isnan(one), np.isnan(other)
    largest = np.maximum(np.maximum(np.abs(one), np.abs(other)), 1.0)
    gaps = np.nan_to_num(np.abs(one - other) / largest, nan=0.0)
    return np.where(unknown[0] != unknown[1], np.inf, gaps)


def _floats(values: Sequence[float | None]) -> Floats:
    return np.asarray([np.nan if value is None else value for value in values], np.float32)
