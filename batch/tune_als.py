"""The search for the numbers of ALS, on a validation slice: what people took after a cut.

Its budget is the length of `RULES`: eight trainings, each judged on the same people. A fitted
`OwnHistory` knows nothing of the slice, so nothing leaks. `tune.py` logs every trial.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pyspark.sql import SparkSession

from batch.least_squares import Histories
from batch.train_als import alternate
from models.als import Rule, rating
from models.evaluation import score
from models.interactions import Interactions, Ints
from models.own import OwnHistory
from models.topk import top

#: Rank, alpha, regularisation, iterations; both forms of the ridge, each from weak to strong.
RULES: Final = (
    Rule(32, 5.0, 0.05, 6),
    Rule(64, 5.0, 0.05, 6),
    Rule(64, 5.0, 0.5, 6),
    Rule(64, 40.0, 0.05, 6),
    Rule(64, 5.0, 5.0, 6, scaled=False),
    Rule(64, 5.0, 50.0, 6, scaled=False),
    Rule(128, 5.0, 0.05, 6),
    Rule(128, 5.0, 20.0, 6, scaled=False),
)
PEOPLE, K, SEED = 2_000, 20, 7


@dataclass(frozen=True, slots=True)
class Trial:
    """One training: quality at `K` over the whole catalogue, averaged over people."""

    rule: Rule
    ndcg: float
    recall: float
    seconds: float


def tune(
    spark: SparkSession,
    own: OwnHistory,
    after: Interactions,
    items: int,
    rules: Sequence[Rule] = RULES,
) -> tuple[Trial, ...]:
    """Every rule trained on what `own` holds and tried on the log after its cut, best first.

    Empty if nobody known took anything after the cut: keep the rule there is. Raises ValueError
    for a slice that begins before the cut.
    """
    if len(after) and int(after.time.min()) < own.cut_ms:
        raise ValueError("The validation slice holds events before the cut: pass the log after it.")
    wanted = taken(own, after)
    if not wanted:
        return ()
    ratings = Histories(own.indptr, own.items, rating(own.strengths))
    trials = [_try(spark, ratings, wanted, items, rule) for rule in rules]
    return tuple(sorted(trials, key=lambda trial: -trial.ndcg))


def taken(own: OwnHistory, after: Interactions) -> Mapping[int, frozenset[int]]:
    """What at most PEOPLE known actors liked in a slice: row in `own` -> item positions."""
    found: dict[int, set[int]] = {}
    for actor, item in zip(
        after.actor[after.weight > 0], after.item[after.weight > 0], strict=True
    ):
        row = own.row_of.get(after.actor_ids[actor])
        if row is not None:
            found.setdefault(row, set()).add(int(item))
    rows = np.array(sorted(found))
    if len(rows) > PEOPLE:
        rows = np.random.default_rng(SEED).choice(rows, PEOPLE, replace=False)
    return {int(row): frozenset(found[row]) for row in rows}


def _try(
    spark: SparkSession,
    ratings: Histories,
    wanted: Mapping[int, frozenset[int]],
    items: int,
    rule: Rule,
) -> Trial:
    begun = time.time()
    people, factors = alternate(spark, ratings, items, rule)
    lists: list[Ints] = [top(factors @ people[row], K)[0] for row in wanted]
    told = [score(ranked, mine, K) for ranked, mine in zip(lists, wanted.values(), strict=True)]
    return Trial(
        rule,
        ndcg=float(np.mean([one.ndcg for one in told])),
        recall=float(np.mean([one.recall for one in told])),
        seconds=round(time.time() - begun, 1),
    )
