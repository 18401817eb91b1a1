"""LambdaMART over the candidates of past baskets; later ones say how many trees, then teach too."""

from __future__ import annotations

from collections.abc import Sequence

import lightgbm
import numpy as np

from batch.training_set import Query
from models.ranker import Ranker

PARAMETERS = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "eval_at": [10],
    "learning_rate": 0.06,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambdarank_truncation_level": 30,
    "max_bin": 127,
    "num_threads": 1,  # a second thread spins while Spark and others want the core
    "seed": 3,
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}
TREES, PATIENCE = 300, 100


def train(queries: Sequence[Query], columns: Sequence[str], validation_share: float) -> Ranker:
    """Learns from `queries` (in order of time); the last share of them decides when to stop.

    Then as many trees learn from all of them: the newest baskets know most about tomorrow's.
    Queries none of whose answers were found teach no order and are left out here.
    """
    useful = [query for query in queries if query.labels.any()]
    split = max(1, int(len(useful) * (1 - validation_share)))
    trees = _trees(useful[:split], useful[split:], columns)
    booster = lightgbm.train(PARAMETERS, _dataset(useful, columns), trees)
    return Ranker(booster.model_to_string(), columns)


def _trees(learn: Sequence[Query], check: Sequence[Query], columns: Sequence[str]) -> int:
    """After how many trees `check` is ordered best; its data and the booster are let go."""
    booster = lightgbm.train(
        PARAMETERS,
        _dataset(learn, columns),
        TREES,
        valid_sets=[_dataset(check, columns)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    return int(booster.best_iteration)


def _dataset(queries: Sequence[Query], columns: Sequence[str]) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        [query.rows for query in queries],  # as one array all would lie in memory twice
        label=np.concatenate([query.labels for query in queries]),
        group=[len(query.rows) for query in queries],
        feature_name=list(columns),
        free_raw_data=True,
    )
