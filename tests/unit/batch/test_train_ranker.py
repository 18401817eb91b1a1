"""The ranker learns from queries where they lie: as one array they would teach the same trees."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import lightgbm
import numpy as np
import pytest

from batch import train_ranker
from batch.training_set import Query

COLUMNS = ("a", "b", "c")


def queries(count: int = 60) -> list[Query]:
    """What is wanted follows from the second column."""
    rng = np.random.default_rng(3)
    made = []
    for _ in range(count):
        rows = rng.normal(size=(rng.integers(5, 40), 3)).astype(np.float32)
        rows[::5, 0] = np.nan
        wanted = (rows[:, 1] > 0.8).astype(np.int32)
        made.append(cast("Query", SimpleNamespace(rows=rows, labels=wanted)))
    return made


@pytest.mark.parametrize("sampled", [30, 200_000])
def test_a_list_of_queries_and_one_array_of_them_teach_the_same_trees(
    sampled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"min_data_in_leaf": 5, "bin_construct_sample_cnt": sampled}
    monkeypatch.setattr(train_ranker, "PARAMETERS", train_ranker.PARAMETERS | settings)
    listed = train_ranker.train(queries(), COLUMNS, 0.25)
    made = lightgbm.Dataset

    def joined(data: list[np.ndarray], **said: object) -> lightgbm.Dataset:
        assert isinstance(data, list), "all of them lie in memory twice"
        return made(np.concatenate(data), **said)

    monkeypatch.setattr(lightgbm, "Dataset", joined)
    assert train_ranker.train(queries(), COLUMNS, 0.25).text == listed.text
    assert "num_leaves" in listed.text
