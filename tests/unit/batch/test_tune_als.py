"""The search tries every rule on what came after the cut, and only on that."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from batch.session import session
from batch.tune_als import taken, tune
from models import own
from models.als import Rule
from models.interactions import Interactions
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
