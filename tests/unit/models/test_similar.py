"""Items are close when they are bought together, or read alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from models import content, covisitation
from models.content import Text
from models.neighbours import keep_best
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


def test_blocks_of_items_do_not_change_what_is_close(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    names = tuple(f"i{n:02d}" for n in range(40))
    rows = [
        (f"u{rng.integers(9)}", name, "purchase", float(rng.integers(40)))
        for name in rng.choice(names, 400)
    ]
    history = log(*rows, items=names)
    whole = covisitation.fit(history, len(names), NOW, 30.0, k=7)
    monkeypatch.setattr(covisitation, "BLOCK", 1)
    blocked = covisitation.fit(history, len(names), NOW, 30.0, k=7)
    np.testing.assert_array_equal(whole.items, blocked.items)
    np.testing.assert_array_equal(whole.weights, blocked.weights)
    assert (whole.items >= 0).any()


def test_the_best_of_a_row_are_kept_in_order_and_ties_go_by_position() -> None:
    drawn = np.random.default_rng(1).integers(-2, 4, (30, 20)).astype(np.float32)
    turned = sparse.csr_matrix(drawn[:, ::-1])
    unsorted = sparse.csr_matrix((turned.data, 19 - turned.indices, turned.indptr), drawn.shape)
    items, weights = keep_best(unsorted, 6)
    for row, scores in enumerate(drawn):
        best = [n for n in np.argsort(-scores, kind="stable")[:6] if scores[n] > 0]
        assert items[row].tolist() == best + [-1] * (6 - len(best))
        assert weights[row].tolist() == scores[best].tolist() + [0] * (6 - len(best))


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


def test_what_most_of_a_large_group_say_makes_nobody_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "COMMON", 2)
    texts = [Text(f"shoe {word}", ("shoes",), "") for word in ("red", "red", "blue", "green")]
    near = content.fit(texts, np.zeros(4, np.int32), k=3)
    assert [near.of(item)[0].tolist() for item in range(4)] == [[1], [0], [], []]


def test_a_description_and_a_price_say_something_and_less_than_a_title() -> None:
    plain = Text("Mug", ("Kitchen",), "acme", description="blue glaze", price_minor=900)
    alike = Text("Bowl", ("Kitchen",), "acme", description="a blue glaze", price_minor=1_000)
    dear = Text("Plate", ("Kitchen",), "acme", description="a blue glaze", price_minor=90_000)
    named = Text("Mug", ("Kitchen",), "acme", description="red", price_minor=5)
    other = Text("Fork", ("Kitchen",), "acme")
    near = content.fit([plain, alike, dear, named, other], np.zeros(5, np.int32), k=4)
    assert near.of(0)[0].tolist() == [3, 1, 2, 4]


def test_an_item_without_words_has_no_neighbours() -> None:
    near = content.fit([Text("", (), ""), *TEXTS], np.zeros(5, np.int32), k=3)
    assert near.of(0)[0].tolist() == []
