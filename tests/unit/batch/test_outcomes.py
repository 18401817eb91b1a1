"""What became of baskets: slices by person and by item, and files of nights that knew fewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from batch.lists import Ranked, ranked
from batch.measure import measure
from batch.outcomes import METRICS, WARM_ITEM_VISITS, Outcomes, outcomes
from batch.summary import variety
from batch.training_set import baskets, build
from models.evaluation import score
from tests.builders import DAY, NOON
from tests.unit.batch.builders import DECLARATION, event, history, sources

#: Before the cut five visits touched milk, four bread; bread's fifth visit is bob's own basket.
PAST = history(
    *(event(f"u{n}", "milk", n * DAY) for n in range(WARM_ITEM_VISITS)),
    *(event(f"u{n}", "bread", n * DAY) for n in range(WARM_ITEM_VISITS - 1)),
    event("bob", "bread", 10 * DAY),
    event("bob", "milk", 10 * DAY),
    event("carl", "bread", 11 * DAY),
)
CUT = NOON + 9 * DAY


@pytest.fixture(scope="module")
def tested() -> list[Ranked]:
    found = sources(PAST, CUT)
    return ranked(build(DECLARATION, PAST, found, baskets(PAST, CUT, PAST.end)), None)


def test_an_item_is_cold_until_enough_visits_touched_it_before_the_basket(
    tested: list[Ranked],
) -> None:
    rows = outcomes(tested, PAST, 10).rows.set_index("actor")
    shown, ids = tested[0].best(10), PAST.items.ids
    for item, column in (("bread", "cold_items"), ("milk", "warm_items")):
        only = score(shown, {ids.index(item)}, 10).ndcg
        assert rows.loc["bob", column] == only > 0
    assert np.isnan(rows.loc["carl", "cold_items"])
    assert rows.loc["carl", "warm_items"] > 0


def test_every_slice_has_recall_mrr_and_hits_beside_its_ndcg(tested: list[Ranked]) -> None:
    found = outcomes(tested, PAST, 10)
    bob = found.rows.set_index("actor").loc["bob"]
    shown, ids = tested[0].best(10), PAST.items.ids
    wanted = {"served": {"bread", "milk"}, "cold_items": {"bread"}, "warm_items": {"milk"}}
    for name, items in wanted.items():
        told = score(shown, {ids.index(item) for item in items}, 10)
        assert [bob[f"{metric}_{name}"] for metric in METRICS] == [told.recall, told.mrr, told.hit]
    assert bob[["recall_served", "recall_cold"]].tolist() == [1.0, 1.0]
    assert np.isnan(bob["recall_warm"])
    means = found.means()
    assert means["mrr_cold_items"] == bob["mrr_cold_items"], "carl's basket has no cold item"
    assert "hit_warm" not in means, "nobody is warm"


def test_outcomes_of_a_night_that_knew_fewer_slices_are_read(
    tested: list[Ranked], tmp_path: Path
) -> None:
    found = outcomes(tested, PAST, 10)
    fewer = found.rows.drop(columns=["cold_items", "recall_warm_items"])
    Outcomes(10, fewer).write(tmp_path / "old.parquet")
    old = Outcomes.read(tmp_path / "old.parquet")
    assert "recall_warm_items" not in old.means()
    assert found.less(old, "cold_items") is None
    assert found.less(old, "warm_items") is not None


def test_mean_average_precision_is_among_the_measures(tested: list[Ranked]) -> None:
    measures = measure(tested, outcomes(tested, PAST, 10), len(PAST.items.ids))
    assert measures is not None
    told = [score(one.best(10), one.query.basket.wanted, 10).precision for one in tested]
    assert measures.flat()["served_map"] == pytest.approx(np.mean(told))


def test_the_price_of_variety_is_said_by_weight() -> None:
    weights = (0.0, 0.05, 0.1, 0.2, 0.4)
    told = {f"ndcg_mmr_{w}": 0.2 * (1 - w) for w in weights}
    told |= {f"diversity_mmr_{w}": 0.5 + w for w in weights}
    (line,) = variety(told)
    assert "weight 0.1 costs 10.0% of NDCG, 0.600 of pairs differ" in line
    assert variety({}) == []
