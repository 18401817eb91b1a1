"""The people of a bundle in order of the length of their histories: some to try the API with."""

from __future__ import annotations

import numpy as np

from feature_store.events import ANONYMOUS
from models.own import OwnHistory


class People:
    """Sorted once for each bundle."""

    def __init__(self) -> None:
        self._sorted: tuple[OwnHistory | None, list[str]] = None, []

    def sample(self, own: OwnHistory, limit: int) -> list[str]:
        """Named users whose histories go from short to long, evenly."""
        known, people = self._sorted
        if known is not own:
            people = _by_length(own)
            self._sorted = own, people
        step = max(1, len(people) // limit)
        return people[step // 2 :: step][:limit]


def _by_length(own: OwnHistory) -> list[str]:
    people = [actor for actor in own.row_of if not actor.startswith(ANONYMOUS)]
    lengths = np.diff(own.indptr)
    return sorted(people, key=lambda actor: lengths[own.row_of[actor]])
