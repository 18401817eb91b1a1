"""The compiled trees say what LightGBM says, and leave to it what they cannot say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest

from feature_store import kernels
from models import ranker
from models.forest import Forest, NotPlain
from models.ranker import Ranker

NAMES = tuple(f"c{number}" for number in range(12))


def rows(count: int = 3000, seed: int = 0) -> npt.NDArray[np.float32]:
    """Values with ties, gaps, infinities; a column never empty, with signs and many zeros."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(size=(count, len(NAMES)))).astype(np.float32)
    values[:, ::3] = np.floor(values[:, ::3])
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 4] = rng.normal(size=count) * (rng.random(count) < 0.5)
    values[rng.random(count) < 0.01, 5] = np.inf
    return values


def trained(
    trees: int = 60, categories: tuple[str, ...] = (), **parameters: Any
) -> lightgbm.Booster:
    data = rows()
    label = np.nan_to_num(data[:, :6], posinf=9.0).sum(axis=1)
    settings: Mapping[str, Any] = {
        "objective": "lambdarank", "num_leaves": 31, "verbosity": -1, "num_threads": 1,
        "label_gain": list(range(31)), **parameters,
    }  # fmt: skip
    graded = np.clip(label.astype(int), 0, 30)
    if categories:
        data[:, 0] = np.nan_to_num(data[:, 0]) % 5
        graded = (data[:, 0] % 2 * 20).astype(int)
    learn = lightgbm.Dataset(
        data, graded, group=[100] * 30, feature_name=list(NAMES),
        categorical_feature=list(categories),
    )  # fmt: skip
    return lightgbm.train(settings, learn, trees)


@pytest.mark.parametrize("parameters", [{}, {"num_leaves": 64}, {"objective": "regression"}])
def test_scores_are_those_of_lightgbm(parameters: dict[str, Any]) -> None:
    booster = trained(**parameters)
    compiled = Forest.parse(booster.model_to_string()).predictor()
    assert compiled is not None, "these tests need a C compiler"
    unseen = rows(1001, seed=1)
    unseen[:300, 4] = np.nan
    for count in (1, 63, 64, 65, 1001):
        wanted = booster.predict(unseen[:count], num_threads=1)
        np.testing.assert_allclose(compiled.predict(unseen[:count]), wanted, rtol=0, atol=1e-6)


def test_a_split_on_a_column_that_is_not_there_is_refused() -> None:
    text = trained(trees=1).model_to_string()
    beyond = re.sub(r"split_feature=\d+", f"split_feature={len(NAMES)}", text, count=1)
    with pytest.raises(ValueError, match="does not name"):
        Forest.parse(beyond)


def test_a_value_on_a_threshold_goes_where_lightgbm_sends_it() -> None:
    booster = trained()
    forest = Forest.parse(booster.model_to_string())
    compiled = forest.predictor()
    assert compiled is not None
    assert (forest.threshold < 0).any()  # among them LightGBM's own bounds of zero
    around = [np.nextafter(forest.threshold, np.float32(way)) for way in (-np.inf, np.inf)]
    values = np.concatenate([forest.threshold, *around])
    matrix = np.random.default_rng(2).choice(values, (4000, len(NAMES))).astype(np.float32)
    wanted = booster.predict(matrix, num_threads=1)
    np.testing.assert_allclose(compiled.predict(matrix), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"num_leaves": 100, "min_data_in_leaf": 1}, "leaves"),
        ({"objective": "poisson"}, "objective"),
        ({"categories": ("c0",)}, "categorical"),
        ({"zero_as_missing": True}, "zero for missing"),
        ({"linear_tree": True, "objective": "regression"}, "linear"),
    ],
)
def test_what_is_not_a_plain_sum_is_left_to_lightgbm(
    parameters: dict[str, Any], reason: str
) -> None:
    booster = trained(trees=5, **parameters)
    with pytest.raises(NotPlain, match=reason):
        Forest.parse(booster.model_to_string())
    ranked = Ranker(booster.model_to_string(), NAMES)
    assert not ranked.compiled
    wanted = booster.predict(rows(10), num_threads=1)
    np.testing.assert_allclose(ranked.predict(rows(10)), wanted, rtol=1e-6)


def test_a_stump_that_never_splits_is_its_one_value() -> None:
    booster = trained(trees=2, min_data_in_leaf=100_000, objective="regression")
    compiled = Forest.parse(booster.model_to_string()).predictor()
    assert compiled is not None
    np.testing.assert_allclose(compiled.predict(rows(3)), booster.predict(rows(3)), atol=1e-6)


def test_without_a_compiler_lightgbm_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    booster = trained(trees=5)
    monkeypatch.setattr(kernels, "COMPILERS", ("no-such-compiler",))
    kernels.kernel.cache_clear()
    try:
        ranked = Ranker(booster.model_to_string(), NAMES)
        assert not ranked.compiled
        np.testing.assert_allclose(ranked.predict(rows(9)), booster.predict(rows(9)), rtol=1e-6)
    finally:
        kernels.kernel.cache_clear()


def test_a_kernel_that_disagrees_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    text = trained(trees=5).model_to_string()
    assert Ranker(text, NAMES).compiled
    parse = Forest.parse

    def wrong(said: str) -> Forest:
        forest = parse(said)
        forest.nan_goes_left[:] = 1 - forest.nan_goes_left
        return forest

    monkeypatch.setattr(ranker.Forest, "parse", wrong)
    assert not Ranker(text, NAMES).compiled


def test_a_kernel_that_agreed_once_is_not_asked_again_and_needs_no_lightgbm() -> None:
    text = trained(trees=5).model_to_string()
    assert Ranker(text, NAMES).compiled
    again = Ranker(text, NAMES)
    assert again.compiled
    assert "_booster" not in vars(again)


def test_other_numbers_of_columns_are_refused() -> None:
    compiled = Forest.parse(trained(trees=2).model_to_string()).predictor()
    assert compiled is not None
    with pytest.raises(ValueError, match="12"):
        compiled.predict(np.zeros((3, 11), np.float32))
