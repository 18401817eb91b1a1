"""A small market whose people have habits and tastes, and nights on it without Spark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import lightgbm
import numpy as np
from pyspark.sql import SparkSession

from batch import train_ranker, training_set
from batch.canary import Canary, try_canary
from batch.history import History
from batch.learn import Teacher
from batch.lists import ranked
from batch.outcomes import Outcomes, outcomes
from batch.recipe import Recipe
from models import bundle
from models.als import Als, Rule, rating
from models.bundle import Bundle
from models.ranker import Ranker
from models.registry import Version
from models.rows import columns
from models.sources import Sources
from tests.builders import DAY, HOUR
from tests.unit.batch.builders import DECLARATION, event, history, sources

PEOPLE, TASTES, ITEMS_OF_TASTE, DAYS_OF_HISTORY = 60, 6, 15, 45
RECIPE = Recipe(train_days=14, test_days=7, fewest_baskets=20)
RANK = 8


def market(days: int = DAYS_OF_HISTORY, seed: int = 5) -> History:
    """Every third day each person buys two favourites and one thing of their taste."""
    chance = np.random.default_rng(seed)
    favourites = [chance.integers(0, ITEMS_OF_TASTE, 3) for _ in range(PEOPLE)]
    bought = []
    for day in range(days):
        for person in range(PEOPLE):
            if (person + day) % 3:
                continue
            items = [*chance.choice(favourites[person], 2), chance.integers(0, ITEMS_OF_TASTE)]
            at = day * DAY + person * HOUR // 10
            bought += [event(f"p{person:02d}", _item(person, n), at) for n in items]
    return history(*bought)


def _item(person: int, number: int) -> str:
    return f"t{person % TASTES}-{number:02d}"


def fit(past: History, cut: int) -> Sources:
    """Honest sources; the factors are those of a singular value decomposition."""
    found = sources(past, cut)
    mine, shape = found.own, (len(found.own.row_of), len(found.item_ids))
    matrix = np.zeros(shape, np.float32)
    rows = np.repeat(np.arange(shape[0]), np.diff(mine.indptr))
    matrix[rows, mine.items] = rating(mine.strengths)
    _, values, right = np.linalg.svd(matrix, full_matrices=False)
    factors = (right[:RANK].T * np.sqrt(values[:RANK])).astype(np.float32)
    return with_factors(found, factors)


def with_factors(found: Sources, factors: np.ndarray[Any, Any]) -> Sources:
    return replace(found, als=Als.build(Rule(RANK, 5.0, 0.05, 1), factors.astype(np.float32)))


def teacher(past: History) -> Teacher:
    """For everything but fitting."""
    nowhere = cast("SparkSession", None)
    return Teacher(nowhere, DECLARATION, past, sources(past, past.end).content, RECIPE)


@dataclass(frozen=True)
class Model:
    """What a night made: the sources measured, those to publish, and the ranker."""

    past: History
    measured: Sources
    everything: Sources
    ranker: Ranker | None

    @property
    def queries(self) -> list[training_set.Query]:
        """The baskets of the last days of the market."""
        return _queries(self.past, self.measured, self.past.end - RECIPE.test_ms, self.past.end)

    @property
    def outcomes(self) -> Outcomes:
        """What became of them."""
        return outcomes(ranked(self.queries, self.ranker), self.past, RECIPE.k)

    def write(self, root: Path) -> tuple[Path, Path]:
        """The bundle to publish, and the one measured."""
        catalogue = self.past.items.catalogue
        first, second = (
            bundle.write(root / name, DECLARATION, one, catalogue, self.ranker, {}, {})
            for name, one in (("bundle", self.everything), ("measured", self.measured))
        )
        return first, second

    def canary(self, root: Path) -> Canary:
        """What its bundle answers."""
        return try_canary(*self.write(root), DECLARATION)

    def champion(self, root: Path) -> tuple[Version, Bundle]:
        """As the registry would give it to a later night: the version, and what was measured."""
        path, measured = self.write(root)
        metrics = {f"knows_{what}": float(n) for what, n in self.canary(root).knows.items()}
        return Version("1", path.name, "run", metrics), Bundle.load(measured, DECLARATION)


def learned(past: History) -> Model:
    """An honest night."""
    cuts = past.end - RECIPE.train_ms, past.end - RECIPE.test_ms
    queries = _queries(past, fit(past, cuts[0]), *cuts)
    names = columns(DECLARATION)
    ranker = train_ranker.train([q for q in queries if q.labels.any()], names, 0.25)
    return Model(past, fit(past, cuts[1]), fit(past, past.end), ranker)


def constant_ranker() -> Ranker:
    """One leaf: every candidate gets the same score."""
    return _ranker(lambda rows: np.arange(len(rows)) % 2, min_data_in_leaf=100_000)


def popularity_ranker() -> Ranker:
    """Orders by popularity alone, whoever asks."""
    column = columns(DECLARATION).index("score_popular")
    return _ranker(lambda rows: 60 * rows[:, column], min_data_in_leaf=1)


def _ranker(answer: Callable[[Any], Any], **parameters: int) -> Ranker:
    names = list(columns(DECLARATION))
    rows = 60 * np.random.default_rng(0).random((4_000, len(names)))
    learn = lightgbm.Dataset(rows, label=answer(rows), feature_name=names)
    settings = {"verbosity": -1, "num_threads": 1, **parameters}
    return Ranker(lightgbm.train(settings, learn, 20).model_to_string(), names)


def _queries(past: History, found: Sources, since: int, until: int) -> list[training_set.Query]:
    asked = training_set.baskets(past, since, until)
    return training_set.build(DECLARATION, past, found, asked)
