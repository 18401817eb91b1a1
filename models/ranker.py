"""The learned ranker, loaded: LightGBM from its text form, one thread, on the declared columns.

Its trees are evaluated by a compiled kernel where that is possible and agrees with LightGBM. A
process that has such a kernel imports LightGBM only to explain a score: it takes seconds and,
with all that it imports in turn, 100 MB.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from feature_store.kernels import vouched
from models.forest import KERNEL, Forest, NotPlain, Predictor
from models.interactions import Floats

if TYPE_CHECKING:
    import lightgbm

log = logging.getLogger("millrace.models")

#: How the line of a model's text begins that names its columns.
NAMES: Final = "feature_names="
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
        learned = _learned(text)
        if learned != list(columns):
            differing = sorted(set(learned) ^ set(columns)) or ["their order"]
            raise RankerRefused(
                f"The ranker's columns differ ({', '.join(differing)}): "
                "run the nightly with this declaration."
            )
        self._compiled = self._kernel()

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

    @cached_property
    def _booster(self) -> lightgbm.Booster:
        import lightgbm

        return lightgbm.Booster(model_str=self.text)

    def _kernel(self) -> Predictor | None:
        """The kernel for these trees, if there is one and it says what LightGBM says."""
        try:
            forest = Forest.parse(self.text)
        except NotPlain as reason:
            log.warning("the ranker is left to LightGBM: %s", reason)
            return None
        predictor = forest.predictor()
        if predictor is None:
            return None
        seal = f"{forest.digest}\n{self.text}"
        if vouched(KERNEL, seal, lambda: self._agrees(predictor, _telling_rows(forest))):
            return predictor
        log.error("the compiled ranker disagrees with LightGBM, which is used instead")
        return None

    def _agrees(self, predictor: Predictor, rows: Floats) -> bool:
        wanted = self._booster.predict(rows, num_threads=1)
        return np.allclose(predictor.predict(rows), wanted, rtol=0, atol=TOLERANCE)

    def contributions(self, matrix: Floats) -> Floats:
        """What each column adds to each row's score, (candidates, columns): SHAP values."""
        said = self._booster.predict(matrix, num_threads=1, pred_contrib=True)
        return np.asarray(said, dtype=np.float32)[:, :-1]

    def importance(self) -> dict[str, float]:
        """Gain by column, largest first: what the ranker leans on."""
        gains = self._booster.feature_importance("gain")
        named = zip(self._booster.feature_name(), gains, strict=True)
        return dict(sorted(named, key=lambda pair: -pair[1]))


def _learned(text: str) -> list[str]:
    """The columns that a model's text names."""
    lines = (line for line in text.splitlines() if line.startswith(NAMES))
    return next(lines, NAMES).removeprefix(NAMES).split()


def _telling_rows(forest: Forest) -> Floats:
    """Rows of the trees' own thresholds, where a mistake shows, and of NaN."""
    rng = np.random.default_rng(0)
    values = np.append(forest.threshold, [0.0, np.nan]).astype(np.float32)
    rows = rng.choice(values, (CHECKED, forest.columns))
    for column in np.unique(forest.column):
        own = np.append(forest.threshold[forest.column == column], np.float32(np.nan))
        rows[::2, column] = rng.choice(own, len(rows[::2]))
    return rows.astype(np.float32)
