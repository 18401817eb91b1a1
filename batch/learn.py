"""Learning: a ranker from baskets after some cuts, measured on the baskets after a later one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise

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
    #: Lists that were shown, as questions, in order of time (`batch/shown.py`).
    shown: Sequence[training_set.Basket] = ()
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
    cuts = training_cuts(teacher.history.start, end, recipe)
    with ThreadPoolExecutor(1) as aside:
        fitted = _fitted(aside, teacher, [*cuts, end])
        with progress.stage("train the ranker") as said:
            ranker = taught(teacher, fitted, cuts)
            said.append("learned" if ranker else "too few baskets: sources are blended")
        with progress.stage("measure") as said:
            later = next(fitted)
            queries = teacher.queries(later, end, recipe.test_baskets)
            test = ranked(queries, ranker)
            found = outcomes(test, teacher.history, recipe.k)
            measures = measure(test, found, len(later.item_ids))
            said.append(f"{len(queries)} baskets")
        with progress.stage("refit on everything"):
            return Lesson(ranker, measures, next(fitted), later, test, found)


def training_cuts(start: int, end: int, recipe: Recipe) -> list[int]:
    """Where sources for the ranker's baskets end (ms), and last where its baskets do.

    Evenly spread, and not closer than `recipe.between_ms`; of a short history, which lasts from
    `start` to `end`, a quarter is kept for the first sources.
    """
    first, last = max(end - recipe.train_ms, start + (end - start) // 4), end - recipe.test_ms
    parts = min(max((last - first) // recipe.between_ms, 1), recipe.train_cuts)
    return [first + (last - first) * part // parts for part in range(parts + 1)]


def _fitted(aside: ThreadPoolExecutor, teacher: Teacher, cuts: Sequence[int]) -> Iterator[Sources]:
    """The sources of each cut; the next ones are fitted while somebody works with these."""
    coming = aside.submit(teacher.fit, cuts[0])
    for following in cuts[1:]:
        ready, coming = coming.result(), aside.submit(teacher.fit, following)
        yield ready
    yield coming.result()


def taught(teacher: Teacher, fitted: Iterator[Sources], cuts: Sequence[int]) -> Ranker | None:
    """A ranker from the baskets between the cuts and the lists that were shown there.

    `fitted` gives the sources of each cut but the last. None where there are too few baskets.
    """
    recipe, useful = teacher.recipe, list[training_set.Query]()
    for _, until in pairwise(cuts):
        sources = next(fitted)
        asked = training_set.baskets(teacher.history, sources.cut_ms, until)
        shown = [one for one in teacher.shown if sources.cut_ms <= one.moment < until]
        drawn = [
            *training_set.sample(asked, recipe.train_baskets // (len(cuts) - 1)),
            *training_set.sample(shown, recipe.train_shown // (len(cuts) - 1)),
        ]
        queries = teacher.build(sources, training_set.in_order(drawn))
        useful += [query for query in queries if query.labels.any()]
    if len(useful) < recipe.fewest_baskets:
        return None
    return train_ranker.train(useful, columns(teacher.declaration), recipe.validation_share)
