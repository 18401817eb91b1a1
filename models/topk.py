"""The best few of many scores."""

from __future__ import annotations

import numpy as np

from models.interactions import Floats, Ints


def top(scores: Floats, cap: int) -> tuple[Ints, Floats]:
    """Positions and values of the `cap` highest scores above zero, best first, ties by position.

    Looks at those above zero only: to part thousands of equal zeros takes ten times as long.
    """
    positions = np.flatnonzero(scores > 0)
    values = scores[positions]
    if 0 < cap < len(values):
        least = np.partition(values, -cap)[-cap]
        better = values > least
        enough = cap - int(np.count_nonzero(better))
        better[np.flatnonzero(values == least)[:enough]] = True
        positions, values = positions[better], values[better]
    order = (-values).argsort(kind="stable")[:cap]
    return positions[order].astype(np.int32), values[order].astype(np.float32, copy=False)


def top_of(positions: Ints, scores: Floats, cap: int) -> tuple[Ints, Floats]:
    """The same among given positions."""
    best, values = top(scores, cap)
    return positions[best].astype(np.int32, copy=False), values
