"""Metrics, by hand."""

from __future__ import annotations

import math

import pytest

from models.evaluation import by_user, coverage, oracle_ndcg, paired_bootstrap, score


def test_a_perfect_list_scores_one() -> None:
    perfect = score([1, 2, 3], {1, 2, 3}, 10)
    assert (perfect.ndcg, perfect.recall, perfect.hit, perfect.mrr) == (1.0, 1.0, 1.0, 1.0)


def test_a_hit_further_down_is_worth_less() -> None:
    second = score([9, 1], {1}, 10)
    assert second.ndcg == pytest.approx(1 / math.log2(3))
    assert second.mrr == 0.5


def test_what_was_never_retrieved_stays_in_the_denominator() -> None:
    found_one_of_two = score([1], {1, 2}, 10)
    assert found_one_of_two.ndcg == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert found_one_of_two.recall == 0.5
    assert oracle_ndcg(1, 2, 10) == pytest.approx(found_one_of_two.ndcg)


def test_beyond_k_nothing_counts() -> None:
    assert score([9, 9, 1], {1}, 2) == score([], {1}, 2)


def test_a_frequent_shopper_counts_once() -> None:
    assert by_user(["a", "a", "b"], [1.0, 0.0, 1.0]) == {"a": 0.5, "b": 1.0}


def test_coverage_is_the_share_of_items_anyone_sees() -> None:
    assert coverage([[1, 2], [2, 3]], catalogue=8, k=1) == 0.25


def test_a_difference_in_every_user_is_certain_and_none_is_not() -> None:
    users = [f"u{n}" for n in range(30)]
    better = paired_bootstrap(dict.fromkeys(users, 0.3), dict.fromkeys(users, 0.2))
    assert better.low == pytest.approx(0.1)
    mixed = {u: 0.3 if n % 2 else 0.1 for n, u in enumerate(users)}
    unsure = paired_bootstrap(mixed, dict.fromkeys(users, 0.2))
    assert unsure.low < 0 < unsure.high
