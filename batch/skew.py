"""The skew check: vectors that serving ranked with, made again from the log as of their moment.

What training would have seen must be what was served. What was still on its way to the stores when
an answer was made is passed over (`motion.py`); all the rest must agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from batch.answers import Answer, Shown
from batch.asof import AsOf
from batch.history import History
from batch.motion import SETTLED_MS, STILL, Motion
from feature_store.declaration import Declaration
from models.interactions import Floats
from models.retrieval import retrieve
from models.rows import columns, rows
from models.sources import Sources

#: Two values this close, relative to the larger one, are the same: float32 keeps seven digits.
TOLERANCE: Final = 1e-6
#: Said of an item that only fills a short list: no source would have offered it.
FILLER: Final = ("popular",)
#: A place in a list, which any event may move: not compared while one was on its way.
RANKED: Final = "score_trending"


Doubles = npt.NDArray[np.float64]


@dataclass(slots=True)
class Skew:
    """How many served vectors were compared and how many differ; `columns` counts their values.

    Items that retrieval would not have offered at that moment are `missing`, and differ too.
    `moving` vectors were passed over. `worst` is the largest relative difference of a value.
    """

    compared: int = 0
    mismatched: int = 0
    missing: int = 0
    moving: int = 0
    worst: float = 0.0
    columns: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        said = f"{self.mismatched} of {self.compared} served vectors differ from the log"
        return f"{said}, {self.moving} were in motion"

    def add(self, names: Sequence[str], gaps: Doubles) -> None:
        """Counts a vector by the differences of its values, (columns,)."""
        wrong = np.flatnonzero(gaps > TOLERANCE)
        self.compared += 1
        self.mismatched += bool(len(wrong))
        self.worst = max(self.worst, float(gaps.max(initial=0)))
        for column in wrong:
            self.columns[names[column]] = self.columns.get(names[column], 0) + 1

    def miss(self) -> None:
        """Counts an item that the log would not have offered."""
        self.compared, self.mismatched = self.compared + 1, self.mismatched + 1
        self.missing += 1


def skew(
    declaration: Declaration,
    history: History,
    sources: Sources,
    answers: Sequence[Answer],
    motion: Motion = STILL,
) -> Skew:
    """Compares `answers` (in order of time) with what the log says.

    The first items of `history` are those of the bundle that holds `sources`, in its order; raises
    `ValueError` when they are not.
    """
    if history.items.ids[: len(sources.item_ids)] != sources.item_ids:
        raise ValueError("the history's items are not the bundle's: read it over the bundle's list")
    found, names = Skew(), columns(declaration)
    walks = AsOf(declaration, history), AsOf(declaration, history)
    for answer in answers:
        if motion.of_actor(answer.actor, answer.shown_at):
            found.moving += len(answer.items)
            continue
        moments = answer.shown_at - SETTLED_MS, answer.shown_at
        before, then = (
            _vectors(declaration, sources, walk, answer, known)
            for walk, known in zip(walks, moments, strict=True)
        )
        restless = motion.of_anything(answer.shown_at)
        for item in answer.items:
            if motion.of_item(item.item_id, answer.shown_at):
                found.moving += 1
            else:
                sides = before.get(item.item_id), then.get(item.item_id)
                _compare(found, names, item, *sides, restless)
    return found


def _compare(
    found: Skew, names: Sequence[str], item: Shown,
    before: Floats | None, then: Floats | None, restless: bool,
) -> None:  # fmt: skip
    """One item; what the log itself changed between the two moments may be either."""
    if before is not None and then is not None:
        passed = _gaps(before, then) > TOLERANCE
        passed[names.index(RANKED)] |= restless
        found.add(names, np.where(passed, 0, _gaps(item.vector, then)))
    elif before is not None or then is not None or (restless and "trending" in item.sources):
        found.moving += 1
    elif item.sources != FILLER:
        found.miss()


def _vectors(
    declaration: Declaration, sources: Sources, walk: AsOf, answer: Answer, known: int
) -> Mapping[str, Floats]:
    """The vectors of all candidates from what happened before `known`, by item."""
    walk.advance(known)
    user = walk.user(answer.actor, known)
    found = retrieve(sources, user, answer.shown_at, walk.trending(known))
    items = walk.columns(sources.columns)
    matrix = rows(declaration, sources, items, user, found, answer.shown_at)
    ids = (sources.item_ids[position] for position in found.positions)
    return dict(zip(ids, matrix, strict=True))


def _gaps(ours: Floats, theirs: Floats) -> Doubles:
    """Relative differences, (columns,); unknown on both sides is the same, on one is infinite."""
    one, other = ours.astype(np.float64), theirs.astype(np.float64)
    unknown = np.isnan(one), np.isnan(other)
    largest = np.maximum(np.maximum(np.abs(one), np.abs(other)), 1.0)
    gaps = np.nan_to_num(np.abs(one - other) / largest, nan=0.0)
    return np.where(unknown[0] != unknown[1], np.inf, gaps)
