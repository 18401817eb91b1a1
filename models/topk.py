"""The best few of many scores."""

from __future__ import annotations

import numpy as np

from models.interactions import Floats, Ints


def top(scores: Floats, cap: int) -> tuple[Ints, Floats]:
    """Positions and values of the `cap` highest scores above zero, best first, ties by position."""
    if cap < len(scores):
        positions = np.argpartition(scores, -cap)[-cap:]
    else:
        positions = np.arange(len(scores))
    positions = positions[scores[positions] > 0]
    order = np.lexsort((positions, -scores[positions]))
    positions = positions[order]
    return positions.astype(np.int32), scores[positions].astype(np.float32)


def top_of(positions: Ints, scores: Floats, cap: int) -> tuple[Ints, Floats]:
    """The same among given positions."""
    best, values = top(scores, cap)
    return positions[best].astype(np.int32), values
