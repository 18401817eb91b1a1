"""The shelf offers what sells in the categories somebody buys from."""

from __future__ import annotations

import numpy as np
import pytest

from models import shelf
from models.shelf import DEPTH

CATEGORY = np.array([0, 0, 1, 1, -1], np.int32)
POPULARITY = np.array([1.0, 3.0, 8.0, 2.0, 9.0], np.float32)


def offered(items: list[int], strengths: list[float], cap: int = 9) -> dict[int, float]:
    filled = shelf.fit(POPULARITY, CATEGORY)
    found = filled.candidates(np.array(items, np.int32), np.array(strengths, np.float32), cap)
    return {int(item): round(float(score), 4) for item, score in zip(*found, strict=True)}


def test_a_category_counts_by_its_share_of_the_history_and_an_item_by_its_share_of_that() -> None:
    assert offered([0, 2], [3.0, 1.0]) == {
        1: pytest.approx(0.75 * 3 / 4),
        0: pytest.approx(0.75 / 4, abs=1e-4),
        2: pytest.approx(0.25 * 8 / 10),
        3: pytest.approx(0.25 * 2 / 10),
    }


def test_best_first_up_to_the_cap() -> None:
    assert list(offered([0, 2], [3.0, 1.0], cap=2)) == [1, 2]


def test_nothing_for_a_stranger_nor_for_what_is_of_no_known_category_or_was_refused() -> None:
    assert offered([], []) == offered([4], [1.0]) == offered([0], [-1.0]) == {}


def test_only_the_best_sellers_of_a_category_are_kept() -> None:
    many = np.arange(1, DEPTH + 6, dtype=np.float32)
    filled = shelf.fit(many, np.zeros(len(many), np.int32))
    assert filled.items.tolist() == list(range(DEPTH + 4, 4, -1))
