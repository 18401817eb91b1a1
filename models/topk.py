"""The best few of many scores."""

from __future__ import annotations

import numpy as np

from models.interactions import Floats, Ints


def top(scores: Floats, cap: int) -> tuple[Ints, Floats]:
    """Positions and values of the `cap` highest scores above zero, best first, ties by position."""
    if cap < len(scores):
        # Ascending, so that the stable sort leaves ties in the order of their positions.
        positions = np.sort(np.argpartition(scores, -cap)[-cap:])
        values = scores[positions]
        order = (-values).argsort(kind="stable")
        positions, values = positions[order], values[order]
    else:
        positions = (-scores).argsort(kind="stable")
        values = scores[positions]
    above = int(np.count_nonzero(values > 0))
    return positions[:above].astype(np.int32), values[:above].astype(np.float32, copy=False)


def top_of(positions: Ints, scores: Floats, cap: int) -> tuple[Ints, Floats]:
    """The same among given positions."""
    best, values = top(scores, cap)
    return positions[best].astype(np.int32, copy=False), values
