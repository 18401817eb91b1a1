"""Q2, Q3, Q4: the served list against every single source, live against last night, cold starts.

    make bench-ranking                        # three cuts of The Complete Journey, two more logs
    make bench-ranking ARGS="--quick"         # one cut of it
    make bench-ranking ARGS="--baskets 1000"
    make bench-ranking ARGS="--logs movielens retail"

The pipeline is the nightly's own: sources fitted at a cut, a ranker from the baskets after an
earlier one. A test basket is asked about with what was known strictly before it; NDCG@10 over the
full catalogue, averaged within a household, then over households. Every single source is tuned on
the baskets that the ranker learns from (its budget is printed), never on the test. The last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from batch import learn, training_set
from batch.fit import fit_content
from batch.history import History
from batch.learn import Teacher, training_cuts
from batch.recipe import Recipe
from batch.session import session
from batch.training_set import Basket, Query, discovery
from benchmarks import histories
from benchmarks.baselines import singles
from benchmarks.baselines.singles import People, Result
from benchmarks.stage import machine, report, say
from feature_store.declaration import load
from feature_store.tiles import DAY, DAY_MS
from models.evaluation import by_user, paired_ratio, score
from models.ranker import Ranker
from models.sources import Sources

TEST_DAYS: Final = 14
#: Days before the end at which tests begin: the last one is Christmas. Columns, caps and the
#: ranker's parameters were chosen on the two weeks from day -130, which no test here touches.
CUTS: Final = (98, 63, 28)
TUNING_BASKETS: Final = 300
COLD_SHARE: Final = 0.1
COLD_BASKETS: Final = (0, 1, 3)
K: Final = 10
GROCERIES: Final = "completejourney"
OTHERS: Final = {"movielens": histories.movielens, "retail": histories.online_retail}

ByUser = dict[str, list[float]]


@dataclass
class Table:
    """NDCG@10 by name of list: every value of every household, over all cuts."""

    values: dict[str, ByUser] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, name: str, found: Mapping[str, float]) -> None:
        """A household counts each cut once."""
        for user, value in found.items():
            self.values[name][user].append(value)

    def means(self) -> dict[str, float]:
        """By name of list, best first."""
        found = {name: float(np.mean(list(self._of(name).values()))) for name in self.values}
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    def best_single(self) -> str:
        """The strongest list that is not ours."""
        return next(name for name in self.means() if name != "served")

    def ratio(self, name: str, rival: str) -> dict[str, float]:
        """Of means over the households that both lists were made for, with its interval."""
        ours, theirs = self._of(name), self._of(rival)
        both = ours.keys() & theirs.keys()
        return asdict(paired_ratio({u: ours[u] for u in both}, {u: theirs[u] for u in both}))

    def print(self, title: str) -> None:
        """The table, best first."""
        say(title)
        for name, value in self.means().items():
            say(f"  {name:24} {value:.4f}")

    def _of(self, name: str) -> dict[str, float]:
        return {user: float(np.mean(values)) for user, values in self.values[name].items()}


@dataclass
class Tables:
    """Every question that the bench asks."""

    next: Table = field(default_factory=Table)
    new: Table = field(default_factory=Table)
    frozen: Table = field(default_factory=Table)
    live: Table = field(default_factory=Table)
    found: list[tuple[int, int]] = field(default_factory=list)


def main() -> None:
    options = _arguments()
    with threadpool_limits(1):
        figures = {}
        # The small ones first: what breaks in them should not cost the half hour before.
        for name, read in OTHERS.items():
            if name in options.logs and not options.quick:
                figures[name] = other(read, options.baskets)
        if GROCERIES in options.logs:
            cuts = CUTS[1:2] if options.quick else CUTS
            figures[GROCERIES] = groceries(histories.complete_journey(), cuts, options.baskets)
    report("ranking", {**figures, **machine()})


def groceries(history: History, days: Sequence[int], baskets: int) -> dict[str, Any]:
    """The Complete Journey: next basket, new items, frozen list, live or last night's, cold."""
    teacher, tables = _teacher(history), Tables()
    for before_end in days:
        at_cut(teacher, DAY.start(history.end - before_end * DAY_MS), baskets, tables)
    cold = cold_start(history, DAY.start(history.end - days[-1] * DAY_MS), baskets)
    for title, table in (("next basket", tables.next), ("new items only", tables.new),
                         ("frozen list", tables.frozen)):  # fmt: skip
        table.print(title)
    live = tables.live.ratio("live", "last night")
    return {**_figures(tables), "live_vs_nightly": [live["low"], live["high"]], "cold": cold}


def _figures(tables: Tables) -> dict[str, Any]:
    best, means = tables.next.best_single(), tables.next.means()
    ratio = tables.next.ratio("served", best)
    new = tables.new.ratio("served", tables.new.best_single())
    frozen = (
        tables.frozen.ratio("served", tables.frozen.best_single()) if tables.frozen.values else {}
    )
    return {
        "next_basket": {
            "served": means["served"], "best_single": means[best], "best_single_name": best,
            "als": means["als"], "ratio_best": ratio["mean"], "ci_low": ratio["low"],
            "ci_high": ratio["high"], "singles": means,
        },
        "new_only": {"ratio_best": new["mean"], "ci_low": new["low"],
                     "best_single_name": tables.new.best_single()},
        "frozen": {"ratio_best": frozen.get("mean"), "ci_low": frozen.get("low")},
        "retrieval_recall": sum(f for f, _ in tables.found) / sum(w for _, w in tables.found),
    }  # fmt: skip


def _teacher(history: History) -> Teacher:
    return Teacher(
        session("bench-ranking"), load("feature_store.features"), history, fit_content(history),
        Recipe(),
    )  # fmt: skip


def at_cut(teacher: Teacher, cut: int, baskets: int, tables: Tables) -> None:
    """One rolling cut: learn before it, test after it."""
    begun, until = time.process_time(), cut + TEST_DAYS * DAY_MS
    ranker = learned(teacher, cut, 2 * baskets)
    sources = teacher.fit(cut)
    queries = teacher.queries(sources, until, baskets)
    tables.found += [(int(q.labels.sum()), len(q.basket.wanted)) for q in queries]
    people, asked = People(teacher.history), [q.basket for q in queries]
    ours, als = served(queries, ranker), _als(sources)
    last_night = _build(teacher, sources, [_at_midnight(basket, cut) for basket in asked])
    tables.live.add("live", ours.all)
    tables.live.add("last night", served(last_night, ranker).all)
    household = _build(teacher, sources, _whole(teacher.history, cut, until))
    frozen = served(household, ranker)
    _add(tables, "served", ours, frozen)
    for name, single in {**_singles(teacher, people, cut), "als": als}.items():
        lists = singles.measured(single, people, asked)
        _add(tables, name, lists, singles.measured(single, people, [q.basket for q in household]))
    say(f"cut {cut}: {len(queries)} baskets, {time.process_time() - begun:.0f} s of processor here")


def _add(tables: Tables, name: str, lists: Result, frozen: Result) -> None:
    tables.next.add(name, lists.all)
    tables.new.add(name, lists.new)
    tables.frozen.add(name, frozen.all)


def learned(teacher: Teacher, cut: int, most: int) -> Ranker:
    """The nightly's ranker, from at most so many baskets before `cut`, however few there are."""
    recipe = replace(teacher.recipe, train_baskets=most, fewest_baskets=1)
    taught = replace(teacher, recipe=recipe)
    cuts = training_cuts(teacher.history.start, cut + recipe.test_ms, recipe)
    ranker = learn.taught(taught, map(taught.fit, cuts), cuts)
    assert ranker is not None, "nobody bought anything in the weeks before the cut"
    return ranker


def served(queries: Sequence[Query], ranker: Ranker) -> Result:
    """The served order of every query, of all its items and of what is new to the person."""
    users = [query.basket.actor for query in queries]
    new = [found for query in queries if (found := discovery(query))]
    return Result(
        by_user(users, [_ndcg(query, ranker) for query in queries]),
        by_user([query.basket.actor for query in new], [_ndcg(query, ranker) for query in new]),
    )


def _ndcg(query: Query, ranker: Ranker) -> float:
    order = np.argsort(-ranker.predict(query.rows), kind="stable")[:K]
    return score(query.candidates.positions[order], query.basket.wanted, K).ndcg


def _singles(teacher: Teacher, people: People, cut: int) -> dict[str, singles.Single]:
    """Every single source as the validation slice would have it, fitted at the cut."""
    slice_from = cut - TEST_DAYS * DAY_MS
    asked = training_set.sample(
        training_set.baskets(teacher.history, slice_from, cut), TUNING_BASKETS
    )
    best = singles.tuned(people, slice_from, asked)
    say(f"tuned on {len(asked)} baskets of the validation slice: {best}")
    found = {name: singles.made(name, people, cut, p) for name, p in best.items()}
    forever = singles.popularity(people, cut, 1e6)
    return {**found, "own": singles.own(1e6), "popularity": forever}


def _als(sources: Sources) -> singles.Single:
    """The night's ALS with the person folded in, over the full catalogue."""
    half_life = sources.own.half_life_days

    def asked(person: singles.Person) -> Any:
        mine = person.strengths(half_life)
        items = np.flatnonzero(mine).astype(np.int32)
        user = sources.als.fold_in(items, mine[items])
        empty = np.zeros(len(mine), np.float32)
        return empty if user is None else np.maximum(sources.als.factors @ user, 0)

    return asked


def _build(teacher: Teacher, sources: Sources, asked: Iterable[Basket]) -> list[Query]:
    ordered = sorted(asked, key=lambda basket: (basket.moment, basket.actor))
    return training_set.build(teacher.declaration, teacher.history, sources, ordered)


def _at_midnight(basket: Basket, cut: int) -> Basket:
    """The same question with last night's knowledge."""
    return replace(basket, moment=max(cut, DAY.start(basket.moment)))


def _whole(history: History, cut: int, until: int) -> list[Basket]:
    """All that each household bought in the window, asked about at the cut."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for basket in training_set.baskets(history, cut, until):
        wanted[basket.actor] |= basket.wanted
    return [Basket(actor, cut, frozenset(items)) for actor, items in wanted.items()]


def cold_start(history: History, cut: int, baskets: int) -> dict[str, Any]:
    """Households nobody has seen before the cut, asked about with 0, 1 and 3 baskets shown."""
    actors = np.asarray(history.log.actor_ids)
    picked = np.random.default_rng(5).random(len(actors)) < COLD_SHARE
    cold = frozenset(actors[picked].tolist())
    kept = [e for e in history.events if e.event_time >= cut or e.actor not in cold]
    teacher = _teacher(history.keeping(kept))
    ranker, sources = learned(teacher, cut, baskets), teacher.fit(cut)
    theirs: dict[str, list[Basket]] = defaultdict(list)
    for basket in training_set.baskets(teacher.history, cut, teacher.history.end):
        if basket.actor in cold:
            theirs[basket.actor].append(basket)
    people, found = People(teacher.history), {}
    popular = _singles(teacher, people, cut)["popularity, decayed"]
    for shown in COLD_BASKETS:
        asked = [mine[shown] for mine in theirs.values() if len(mine) > shown]
        table = Table()
        table.add("served", served(_build(teacher, sources, asked), ranker).all)
        table.add("popularity, decayed", singles.measured(popular, people, asked).all)
        table.print(f"cold start, {shown} baskets shown, {len(asked)} households")
        found[str(shown)] = {**table.means(), "ratio": table.ratio("served", "popularity, decayed")}
    return found


def other(read: Callable[[], History], baskets: int) -> dict[str, Any]:
    """Another log at one cut, with how many people were warm."""
    history, tables = read(), Tables()
    moments = np.sort(history.log.time)
    cut = DAY.start(int(moments[int(len(moments) * 0.9)]))
    tested = training_set.baskets(history, cut, history.end)
    before = {history.log.actor_ids[code] for code in np.unique(history.log.before(cut).actor)}
    warm = {basket.actor for basket in tested} & before
    say(f"{len(tested)} test baskets of {len({b.actor for b in tested})} people, {len(warm)} warm")
    at_cut(_teacher(history), cut, baskets, tables)
    tables.next.print("next basket")
    return {**_figures(tables), "test_people": len({b.actor for b in tested}), "warm": len(warm)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="one cut of one data set")
    logs = (*OTHERS, GROCERIES)
    parser.add_argument("--logs", nargs="+", choices=logs, default=logs, help="these data sets")
    parser.add_argument("--baskets", type=int, default=2_500, help="test baskets a cut")
    return parser.parse_args()


if __name__ == "__main__":
    main()
