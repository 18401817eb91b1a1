"""The learned ranker, loaded: LightGBM from its text form, one thread, on the declared columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightgbm
import numpy as np

from models.interactions import Floats


class RankerRefused(ValueError):
    """A ranker that was trained on other columns."""


class Ranker:
    """Scores a matrix of `vectors.columns`; NaN is a value the trees know."""

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        """`text` is LightGBM's own; raises `RankerRefused` when its columns are not `columns`."""
        self.text = text
        self._booster = lightgbm.Booster(model_str=text)
        learned = self._booster.feature_name()
        if learned != list(columns):
            differing = sorted(set(learned) ^ set(columns)) or ["their order"]
            raise RankerRefused(
                f"The ranker's columns differ ({', '.join(differing)}): "
                "run the nightly with this declaration."
            )

    @classmethod
    def load(cls, path: Path, columns: Sequence[str]) -> Ranker:
        """From a file of LightGBM text."""
        return cls(path.read_text(), columns)

    def predict(self, matrix: Floats) -> Floats:
        """One score a row, higher is better; `matrix` is (candidates, columns)."""
        if not len(matrix):
            return np.zeros(0, np.float32)
        scores = self._booster.predict(matrix, num_threads=1)
        return np.asarray(scores, dtype=np.float32)

    def contributions(self, matrix: Floats) -> Floats:
        """What each column adds to each row's score, (candidates, columns): SHAP values."""
        said = self._booster.predict(matrix, num_threads=1, pred_contrib=True)
        return np.asarray(said, dtype=np.float32)[:, :-1]

    def importance(self) -> dict[str, float]:
        """Gain by column, largest first: what the ranker leans on."""
        gains = self._booster.feature_importance("gain")
        named = zip(self._booster.feature_name(), gains, strict=True)
        return dict(sorted(named, key=lambda pair: -pair[1]))
