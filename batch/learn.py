"""Learning: a ranker from the baskets after one cut, measured on the baskets after a later one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from pyspark.sql import SparkSession

from batch import train_ranker, training_set
from batch.asof import AsOf
from batch.fit import fit, fit_content
from batch.history import History, Items
from batch.lists import Ranked, ranked
from batch.measure import Measures, measure
from batch.outcomes import Outcomes, outcomes
from batch.progress import Progress
from batch.recipe import Recipe
from feature_store.declaration import Declaration
from models.neighbours import Neighbours
from models.ranker import Ranker
from models.rows import columns
from models.sources import Sources


@dataclass
class Teacher:
    """What every step of learning needs, and how far the last one walked through the history."""

    spark: SparkSession
    declaration: Declaration
    history: History
    similar: Neighbours
    recipe: Recipe
    _walk: AsOf | None = field(default=None, init=False, repr=False)

    def fit(self, cut_ms: int) -> Sources:
        """Every source on the events strictly before a cut, with the items as described then.

        Serving knows descriptions as of the night: so does training, as of its cut.
        """
        then, similar, items = self.history, self.similar, self.items_at(cut_ms)
        if items is not then.items:
            then = replace(then, items=items)
            similar = fit_content(then)
        return fit(self.spark, self.declaration, then, similar, self.recipe, cut_ms)

    def items_at(self, cut_ms: int) -> Items:
        """The items as sources fitted at a cut know them; at the log's end, as of now."""
        history = self.history
        return history.items if cut_ms >= history.end else history.items_at(cut_ms)

    def queries(self, sources: Sources, until: int, most: int) -> list[training_set.Query]:
        """At most `most` baskets in [the sources' cut, until), with candidates and columns."""
        asked = training_set.baskets(self.history, sources.cut_ms, until)
        return self.build(sources, training_set.sample(asked, most))

    def build(
        self, sources: Sources, asked: Sequence[training_set.Basket]
    ) -> list[training_set.Query]:
        """The queries of baskets in order of time, by one walk that goes on from call to call."""
        first = asked[0].moment if asked else 0
        if self._walk is None or self._walk.now > first:
            self._walk = AsOf(self.declaration, self.history)
        return training_set.build(self.declaration, self.history, sources, asked, self._walk)


@dataclass(frozen=True)
class Lesson:
    """What was learned: a ranker (None: too few baskets), its measures, the sources to publish.

    `measured` are the sources behind the measures, which end before the test; `test` are its
    queries as the ranker orders them, and `outcomes` what became of them.
    """

    ranker: Ranker | None
    measures: Measures | None
    everything: Sources
    measured: Sources
    test: Sequence[Ranked]
    outcomes: Outcomes


def learn(teacher: Teacher, progress: Progress) -> Lesson:
    """Learns and measures honestly, and refits the sources on everything to publish them.

    Spark fits the later cuts in a thread of its own while Python replays baskets here.
    """
    recipe, end = teacher.recipe, teacher.history.end
    with ThreadPoolExecutor(1) as aside:
        with progress.stage("fit sources at the first cut"):
            earlier = teacher.fit(first_cut(teacher.history, recipe))
        later = aside.submit(teacher.fit, end - recipe.test_ms)
        everything = aside.submit(teacher.fit, end)
        with progress.stage("train the ranker") as said:
            ranker = _ranker(teacher, earlier, end - recipe.test_ms)
            said.append("learned" if ranker else "too few baskets: sources are blended")
        with progress.stage("measure") as said:
            queries = teacher.queries(later.result(), end, recipe.test_baskets)
            test = ranked(queries, ranker)
            found = outcomes(test, teacher.history, recipe.k)
            measures = measure(test, found, len(earlier.item_ids))
            said.append(f"{len(queries)} baskets")
        with progress.stage("refit on everything"):
            return Lesson(ranker, measures, everything.result(), later.result(), test, found)


def first_cut(history: History, recipe: Recipe) -> int:
    """Where the ranker's baskets begin (ms): a short history keeps a quarter for its sources."""
    start = history.events[0].event_time
    return max(history.end - recipe.train_ms, start + (history.end - start) // 4)


def _ranker(teacher: Teacher, sources: Sources, until: int) -> Ranker | None:
    recipe = teacher.recipe
    queries = teacher.queries(sources, until, recipe.train_baskets)
    useful = [query for query in queries if query.labels.any()]
    if len(useful) < recipe.fewest_baskets:
        return None
    names = columns(teacher.declaration)
    return train_ranker.train(useful, names, recipe.validation_share)
