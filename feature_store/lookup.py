"""Small tables, quickly: where values stand in a sorted array, and columns put side by side.

`np.isin` and `np.stack` answer the same, and cost a request of some hundred rows ten times more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Places:
    """For each value, `there`: whether the sorted array holds it; and, if so, in which row."""

    rows: npt.NDArray[np.int64]
    there: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, values: npt.NDArray[Any], among: npt.NDArray[Any]) -> Places:
        """`among` is sorted and of the same type as `values`; of equal ones, the first counts."""
        if not len(among):
            return cls(np.zeros(len(values), np.int64), np.zeros(len(values), np.bool_))
        rows = among.searchsorted(values)
        return cls(rows, among.take(rows, mode="clip") == values)

    def pick(self, held: npt.NDArray[Any], otherwise: float) -> Doubles:
        """What a column of the sorted array's rows holds for each value, (values,)."""
        found = np.full(len(self.rows), otherwise, np.float64)
        if len(held):
            np.copyto(found, held.take(self.rows, mode="clip"), where=self.there)
        return found


def side_by_side(columns: Sequence[npt.NDArray[Any] | float], rows: int) -> npt.NDArray[np.float32]:
    """A table of these columns, (rows, columns); a number fills its column."""
    table = np.empty((len(columns), rows), np.float32)
    for place, column in enumerate(columns):
        table[place] = column
    return table.T


def spread(
    blocks: Sequence[npt.NDArray[np.float32]], rows: int, room: int = 0
) -> tuple[npt.NDArray[np.float32], int]:
    """Blocks of columns in one table, (rows, columns), row by row, and the column where they end.

    A block of one row fills them all. `room` columns behind are left to fill.
    """
    table = np.empty((rows, sum(block.shape[1] for block in blocks) + room), np.float32)
    start = 0
    for block in blocks:
        end = start + block.shape[1]
        table[:, start:end] = block
        start = end
    return table, start
