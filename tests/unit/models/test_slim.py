"""A linear model of items: what a whole history speaks for, by the items that most people have."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from models import slim
from models.slim import LinearRule

RULE = LinearRule(most=100, near=3, ridge=0.1, k=3)
#: Whoever has 0 has 1; 2 and 3 go together; 4 is one person's.
PEOPLE = sparse.csr_matrix(
    np.array([[1, 1, 0, 0, 0], [2, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 3, 1, 4]], np.float32)
)


def offered(items: list[int], strengths: list[float], rule: LinearRule = RULE) -> list[int]:
    found = slim.fit(PEOPLE, rule).candidates(
        np.array(items, np.int32), np.array(strengths, np.float32), 9
    )
    return found[0].tolist()


def test_what_goes_together_is_offered() -> None:
    assert offered([0], [1.0]) == [1]
    assert offered([3], [1.0]) == [2]


def test_the_whole_history_speaks_and_its_stronger_part_louder() -> None:
    assert offered([0, 3], [1.0, 9.0])[0] == 2
    assert offered([0, 3], [9.0, 1.0])[0] == 1


def test_strangers_refusals_and_items_of_one_person_say_nothing() -> None:
    assert offered([], []) == offered([0], [-1.0]) == offered([4], [1.0]) == []


def test_only_the_items_that_most_people_have_take_part() -> None:
    assert slim.fit(PEOPLE, LinearRule(2, 3, 0.1, 3)).items.tolist() == [0, 1]


def test_products_held_as_a_whole_and_by_blocks_teach_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    people = sparse.csr_matrix((rng.random((60, 40)) < 0.2).astype(np.float32))
    whole = slim.learn(people, 10, 1.0).toarray()
    monkeypatch.setattr(slim, "HELD", 0)
    monkeypatch.setattr(slim, "BLOCK", 7)
    np.testing.assert_allclose(slim.learn(people, 10, 1.0).toarray(), whole, atol=1e-5)


def test_ridges_learned_together_are_what_each_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    people = sparse.csr_matrix((rng.random((60, 40)) < 0.2).astype(np.float32))
    for held in (0, slim.HELD):
        monkeypatch.setattr(slim, "HELD", held)
        together = slim.learn_each(people, 10, (0.5, 2.0))
        for ridge, weights in zip((0.5, 2.0), together, strict=True):
            alone = slim.learn(people, 10, ridge)
            np.testing.assert_array_equal(weights.toarray(), alone.toarray())
        assert (together[0] != together[1]).nnz


def test_nobody_teaches_nothing() -> None:
    nothing = slim.fit(sparse.csr_matrix((0, 5), dtype=np.float32), RULE)
    assert nothing.candidates(np.array([1], np.int32), np.ones(1, np.float32), 3)[0].tolist() == []
