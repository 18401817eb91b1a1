"""The search tries every rule on what came after the cut, and only on that."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch.files import write_json
from batch.lake import Lake
from batch.session import session
from batch.tune import RULE, record, search, tuned
from batch.tune_als import RULES, Trial, taken, tune
from models import own
from models.als import Rule
from models.interactions import Interactions
from tests.unit.batch.market import RECIPE, market
from tests.unit.models.builders import ITEMS, NOW, log

LOG = log(
    *((f"u{n}", item, "purchase", 5.0) for n in range(8) for item in ("milk", "bread")),
    *((f"u{n}", item, "purchase", 1.0) for n in range(8) for item in ("milk", "bread")),
    *((f"t{n}", item, "purchase", 5.0) for n in range(8) for item in ("tea", "jam")),
    ("u0", "beer", "remove", 1.0), ("new", "tea", "purchase", 1.0),
)  # fmt: skip
CUT = NOW - 3 * 86_400_000
USEFUL, USELESS = Rule(2, 10.0, 0.05, 5), Rule(2, 1e-6, 1e6, 1, scaled=False)


@pytest.fixture(scope="module")
def spark() -> SparkSession:
    return session("tune-als")


def halves() -> tuple[own.OwnHistory, Interactions]:
    """What was known at the cut, and the log after it."""
    return own.fit(LOG.before(CUT), CUT, 30.0), LOG.where(LOG.time >= CUT)


def test_every_rule_is_tried_and_the_best_comes_first(spark: SparkSession) -> None:
    trials = tune(spark, *halves(), len(ITEMS), (USELESS, USEFUL))
    assert [trial.rule for trial in trials] == [USEFUL, USELESS]
    assert trials[0].ndcg > trials[1].ndcg
    assert trials[0].recall == 1.0


def test_only_known_people_and_liked_items_are_wanted() -> None:
    wanted = taken(*halves())
    assert len(wanted) == 8
    assert set().union(*wanted.values()) == {ITEMS.index("milk"), ITEMS.index("bread")}


def test_a_slice_with_the_past_in_it_is_refused(spark: SparkSession) -> None:
    known, _ = halves()
    with pytest.raises(ValueError, match="before the cut"):
        tune(spark, known, LOG, len(ITEMS))


def test_without_anybody_to_try_on_there_is_no_trial(spark: SparkSession) -> None:
    known, after = halves()
    assert tune(spark, known, after.where(after.time < 0), len(ITEMS)) == ()


def test_the_search_stays_before_the_test_and_the_winner_is_what_nights_learn_by(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, seen = market(), list[Interactions]()

    def tried(
        spark: SparkSession, known: own.OwnHistory, after: Interactions, items: int,
        rules: tuple[Rule, ...],
    ) -> tuple[Trial, ...]:  # fmt: skip
        seen.append(after)
        return tuple(Trial(rule, 0.1, 0.2, 1.0) for rule in rules)

    monkeypatch.setattr("batch.tune.tune", tried)
    trials = search(spark, past, RECIPE)
    assert [trial.rule for trial in trials] == [RECIPE.als, *RULES]
    (after,) = seen
    assert past.end - 2 * RECIPE.test_ms <= after.time.min()
    assert after.time.max() < past.end - RECIPE.test_ms
    told = record(trials)
    assert len(told.children) == len(trials)
    assert len({child.name for child in told.children}) == len(trials)
    lake = Lake(tmp_path)
    assert tuned(lake, RECIPE) == RECIPE
    write_json(tmp_path / RULE, asdict(RULES[-1]))
    assert tuned(lake, RECIPE).als == RULES[-1]
