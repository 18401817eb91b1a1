"""A ranker answers on its own columns only, and knows what to do with nothing."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from models.ranker import Ranker, RankerRefused


@pytest.fixture(scope="module")
def text() -> str:
    rows = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    rows[::7, 0] = np.nan
    data = lightgbm.Dataset(rows, (rows[:, 1] > 0).astype(int), feature_name=["a", "b"])
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, data, 5)
    return str(booster.model_to_string())


def test_it_ranks_and_leaves_nan_to_the_trees(text: str) -> None:
    scores = Ranker(text, ("a", "b")).predict(np.array([[np.nan, 2.0], [0.0, -2.0]], np.float32))
    assert scores[0] > scores[1]
    assert scores.dtype == np.float32


def test_no_candidates_is_no_scores(text: str) -> None:
    assert len(Ranker(text, ("a", "b")).predict(np.zeros((0, 2), np.float32))) == 0


@pytest.mark.parametrize(("columns", "named"), [(("a", "c"), "b, c"), (("b", "a"), "order")])
def test_other_columns_are_refused_by_name(text: str, columns: tuple[str, ...], named: str) -> None:
    with pytest.raises(RankerRefused, match=named):
        Ranker(text, columns)


def test_it_says_what_it_leans_on(text: str) -> None:
    assert next(iter(Ranker(text, ("a", "b")).importance())) == "b"
