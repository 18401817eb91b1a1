"""The ranker's matrix: the declaration's columns, and what the bundle knows of the person.

One order and one function, for training and for serving.
"""

from __future__ import annotations

from typing import Final

from feature_store import vectors
from feature_store.declaration import Declaration
from feature_store.stores.base import UserState
from feature_store.vectors import ItemColumns
from models.habits import HABIT, of_candidates
from models.interactions import Floats
from models.retrieval import Candidates
from models.sources import SOURCES, Sources

#: Where the sources' scores are in a row, in the order of `SOURCES`.
SCORES: Final = slice(-len(HABIT) - len(SOURCES), -len(HABIT))


def columns(declaration: Declaration) -> tuple[str, ...]:
    """The names of the columns, in order."""
    return (*vectors.columns(declaration, SOURCES), *HABIT)


def rows(
    declaration: Declaration,
    sources: Sources,
    items: ItemColumns,
    user: UserState,
    found: Candidates,
    now: int,
) -> Floats:
    """One row per candidate, (candidates, columns), as of `now` (ms).

    `items` are the columns of the moment: those in `sources` are of the cut.
    """
    table = vectors.matrix(
        declaration, user, items, sources.index_of, found.positions, found.scores, now, len(HABIT)
    )
    out = table[:, -len(HABIT) :]
    of_candidates(found.owned, sources.repeats, items, found.positions, now, out)
    return table
