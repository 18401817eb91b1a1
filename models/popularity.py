"""Popularity: what many different people did lately."""

from __future__ import annotations

import numpy as np

from models.interactions import Floats, Interactions, decay, visits


def fit(log: Interactions, items: int, cut_ms: int, half_life_days: float) -> Floats:
    """Decayed number of visits with a positive strength, (items,)."""
    seen = visits(log)
    worth = np.maximum(seen.strength, 0)
    worth = worth * decay((cut_ms - seen.start).astype(np.float64), half_life_days)
    return np.bincount(seen.item, worth, items).astype(np.float32)
