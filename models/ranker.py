"""The learned ranker, loaded: LightGBM from its text form, one thread, on the declared columns.

Its trees are evaluated by a compiled kernel where that is possible and agrees with LightGBM.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import lightgbm
import numpy as np

from models.forest import Forest, NotPlain, Predictor
from models.interactions import Floats

log = logging.getLogger("millrace.models")

#: Rows on which the kernel must agree with LightGBM before it is used, and how well.
CHECKED: Final = 256
TOLERANCE: Final = 1e-6


class RankerRefused(ValueError):
    """A ranker that was trained on other columns."""


class Ranker:
    """Scores a matrix of `models.rows.columns`; NaN is a value the trees know."""

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
        self._compiled = _compiled(text, self._booster)

    @property
    def compiled(self) -> bool:
        """Whether the kernel predicts; LightGBM, about twenty times slower, does otherwise."""
        return self._compiled is not None

    @classmethod
    def load(cls, path: Path, columns: Sequence[str]) -> Ranker:
        """From a file of LightGBM text."""
        return cls(path.read_text(), columns)

    def predict(self, matrix: Floats) -> Floats:
        """One score a row, higher is better; `matrix` is (candidates, columns)."""
        if not len(matrix):
            return np.zeros(0, np.float32)
        if self._compiled:
            scores = self._compiled.predict(matrix)
        else:
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


def _compiled(text: str, booster: lightgbm.Booster) -> Predictor | None:
    """The kernel for these trees, if there is one and it says what LightGBM says."""
    try:
        forest = Forest.parse(text)
    except NotPlain as reason:
        log.warning("the ranker is left to LightGBM: %s", reason)
        return None
    predictor = forest.predictor()
    if predictor is None:
        return None
    rows = _telling_rows(forest)
    wanted = booster.predict(rows, num_threads=1)
    if not np.allclose(predictor.predict(rows), wanted, rtol=0, atol=TOLERANCE):
        log.error("the compiled ranker disagrees with LightGBM, which is used instead")
        return None
    return predictor


def _telling_rows(forest: Forest) -> Floats:
    """Rows of the trees' own thresholds, where a mistake shows, and of NaN."""
    rng = np.random.default_rng(0)
    values = np.append(forest.threshold, [0.0, np.nan]).astype(np.float32)
    rows = rng.choice(values, (CHECKED, forest.columns))
    for column in np.unique(forest.column):
        own = np.append(forest.threshold[forest.column == column], np.float32(np.nan))
        rows[::2, column] = rng.choice(own, len(rows[::2]))
    return rows.astype(np.float32)
