"""Items are close when they are bought together, or read alike."""

from __future__ import annotations

import numpy as np
import pytest

from models import content, covisitation
from models.content import Text
from tests.unit.models.builders import ITEMS, NOW, log

MILK, BREAD, TEA = ITEMS.index("milk"), ITEMS.index("bread"), ITEMS.index("tea")


def test_what_is_bought_together_is_close_and_what_is_not_is_not_listed() -> None:
    history = log(
        ("ann", "milk", "purchase", 1.0), ("ann", "bread", "purchase", 1.0),
        ("bob", "milk", "purchase", 2.0), ("bob", "bread", "purchase", 2.0),
        ("eve", "tea", "purchase", 3.0),
    )  # fmt: skip
    near = covisitation.fit(history, len(ITEMS), NOW, 30.0, k=3)
    assert near.of(MILK)[0].tolist() == [BREAD]
    assert near.of(TEA)[0].tolist() == []


def test_a_pair_seen_often_is_closer_than_one_seen_once() -> None:
    often = [(f"u{n}", item, "purchase", 1.0) for n in range(9) for item in ("milk", "bread")]
    history = log(*often, ("z", "milk", "purchase", 1.0), ("z", "tea", "purchase", 1.0))
    near, weights = covisitation.fit(history, len(ITEMS), NOW, 30.0).of(MILK)
    assert near.tolist() == [BREAD, TEA]
    assert weights[0] > weights[1]


def test_days_apart_is_not_together() -> None:
    history = log(("ann", "milk", "purchase", 1.0), ("ann", "bread", "purchase", 3.0))
    near = covisitation.fit(history, len(ITEMS), NOW, 30.0)
    assert near.of(MILK)[0].tolist() == []


TEXTS = [
    Text("Green tea, 20 bags", ("Drinks", "Tea"), "acme"),
    Text("Black tea, 20 bags", ("Drinks", "Tea"), "acme"),
    Text("Cola, 1 l", ("Drinks", "Soda"), "other"),
    Text("Green tea, 40 bags", ("Garden", "Pots"), "acme"),
]


def test_reading_alike_is_close_and_an_item_is_not_its_own_neighbour() -> None:
    near = content.fit(TEXTS, np.zeros(4, np.int32), k=3)
    assert near.of(0)[0].tolist() == [1, 3, 2]
    assert all(item not in near.of(item)[0] for item in range(4))


def test_other_groups_are_not_compared() -> None:
    near = content.fit(TEXTS, np.array([0, 0, 0, 1], np.int32), k=3)
    assert near.of(0)[0].tolist() == [1, 2]
    assert near.of(3)[0].tolist() == []


def test_blocks_do_not_change_the_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = content.fit(TEXTS, np.zeros(4, np.int32), k=3)
    monkeypatch.setattr(content, "BLOCK", 1)
    blocked = content.fit(TEXTS, np.zeros(4, np.int32), k=3)
    np.testing.assert_array_equal(whole.items, blocked.items)


def test_an_item_without_words_has_no_neighbours() -> None:
    near = content.fit([Text("", (), ""), *TEXTS], np.zeros(5, np.int32), k=3)
    assert near.of(0)[0].tolist() == []
