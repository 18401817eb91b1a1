"""Metrics, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.diversity import mmr
from models.evaluation import (
    by_user,
    coverage,
    diversity,
    head_share,
    miscalibration,
    novelty,
    oracle_ndcg,
    paired_bootstrap,
    paired_ratio,
    score,
)


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


def test_average_precision_counts_each_hit_at_its_place() -> None:
    assert score([1, 9, 2], {1, 2}, 10).precision == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert score([9, 8], {1}, 10).precision == 0


def test_ten_percent_better_everywhere_is_a_ratio_of_exactly_that() -> None:
    users = {f"u{n}": 0.1 + n / 100 for n in range(30)}
    better = paired_ratio({user: 1.1 * value for user, value in users.items()}, users)
    assert (better.mean, better.low, better.high) == pytest.approx((1.1, 1.1, 1.1))
    nothing = paired_ratio(users, dict.fromkeys(users, 0.0))
    assert math.isnan(nothing.mean)


POPULARITY = np.array([6.0, 1.0, 1.0, 0.0], np.float32)
KINDS = np.array([0, 0, 1, -1], np.int32)


def test_a_rare_item_is_news_and_a_popular_one_is_not() -> None:
    assert novelty([[1], [2]], POPULARITY, 10) == pytest.approx(3.0)
    assert novelty([[0]], POPULARITY, 10) == pytest.approx(-math.log2(6 / 8))
    assert novelty([[3]], POPULARITY, 10) == pytest.approx(3.0)


def test_popularity_bias_is_the_share_of_the_head() -> None:
    many = np.arange(200, 0, -1).astype(np.float32)
    assert head_share([[0, 150], [99, 100]], many, 10) == 0.5


def test_a_list_of_one_kind_is_not_diverse_and_unknown_kinds_are_unlike_any() -> None:
    assert diversity([0, 1], KINDS, 10) == 0
    assert diversity([0, 2], KINDS, 10) == 1
    assert diversity([0, 1, 3], KINDS, 10) == pytest.approx(2 / 3)


def test_a_list_with_the_persons_own_mix_is_calibrated() -> None:
    items, strengths = np.array([0, 2], np.int32), np.ones(2, np.float32)
    assert miscalibration([1, 2], items, strengths, KINDS, 10) == pytest.approx(0)
    assert miscalibration([0, 1], items, strengths, KINDS, 10) > 1
    nobody = miscalibration([0], items[:0], strengths[:0], KINDS, 10)
    assert math.isnan(nobody)


def test_mmr_without_weight_keeps_the_order_and_with_it_changes_kinds() -> None:
    scores, kinds = np.array([0.9, 0.8, 0.7, 0.0], np.float32), np.array([1, 1, 2, 2], np.int32)
    assert mmr(scores, kinds, 0.0, 3).tolist() == [0, 1, 2]
    assert mmr(scores, kinds, 0.5, 3).tolist() == [0, 2, 1]
    unlike = np.full(4, -1, np.int32)
    assert mmr(scores, unlike, 9.0, 4).tolist() == [0, 1, 2, 3]
