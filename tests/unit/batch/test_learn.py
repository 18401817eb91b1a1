"""Learning walks from cut to cut, and no source has seen the baskets it is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from batch import learn as module
from batch import train_ranker
from batch.learn import Lesson, learn, training_cuts
from batch.progress import Progress
from batch.recipe import Recipe
from batch.training_set import Basket, Query
from models.ranker import Ranker
from tests.builders import DAY, NOON
from tests.unit.batch import market

RECIPE = replace(market.RECIPE, train_cuts=3, between_days=2.0)


def test_cuts_are_spread_evenly_up_to_the_test() -> None:
    end = NOON + 100 * DAY
    cuts = training_cuts(NOON, end, Recipe(train_cuts=4, train_days=35, test_days=7))
    assert cuts == [end - days * DAY for days in (35, 28, 21, 14, 7)]


def test_a_short_history_has_fewer_cuts_and_keeps_a_quarter_for_its_sources() -> None:
    end = NOON + 24 * DAY
    assert training_cuts(NOON, end, Recipe(train_cuts=4)) == [NOON + 6 * DAY, end - 7 * DAY]


class Recorder:
    """Stands where the ranker is trained, and where sources are fitted."""

    def __init__(self) -> None:
        self.cuts: list[int] = []
        self.learned: Sequence[Query] = ()

    def fit(self, spark: object, declaration: object, past: market.History, *rest: object):  # type: ignore[no-untyped-def]
        cut = rest[-1]
        assert isinstance(cut, int)
        self.cuts.append(cut)
        return market.fit(past, cut)

    def train(self, queries: Sequence[Query], columns: Sequence[str], share: float) -> Ranker:
        self.learned = queries
        return market.popularity_ranker()


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    monkeypatch.setattr(module, "fit", found.fit)
    monkeypatch.setattr(train_ranker, "train", found.train)
    return found


def taught(shown: Sequence[Basket] = ()) -> tuple[market.History, Lesson]:
    past = market.market()
    teacher = replace(market.teacher(past), recipe=RECIPE, shown=shown)
    return past, learn(teacher, Progress("learn", 3))


def test_every_cut_teaches_with_sources_of_its_own(recorder: Recorder) -> None:
    past, lesson = taught()
    cuts = training_cuts(past.start, past.end, RECIPE)
    assert recorder.cuts == [*cuts, past.end]
    assert (lesson.measured.cut_ms, lesson.everything.cut_ms) == (cuts[-1], past.end)
    moments = [query.basket.moment for query in recorder.learned]
    assert moments == sorted(moments)
    for since, until in pairwise(cuts):
        assert any(since <= moment < until for moment in moments)
    assert max(moments) < cuts[-1] <= min(one.query.basket.moment for one in lesson.test)


def test_lists_that_were_shown_teach_in_their_place(recorder: Recorder) -> None:
    past = market.market()
    begun, *_, until = training_cuts(past.start, past.end, RECIPE)
    looked = frozenset(range(30))
    lists = [Basket("p00", at, frozenset({0}), looked) for at in (begun, until - 1, until)]
    taught(lists)
    seen = [query for query in recorder.learned if query.basket.looked is not None]
    assert {query.basket.moment for query in seen} <= {begun, until - 1}
    assert seen
    assert all(set(query.candidates.positions.tolist()) <= looked for query in seen)
