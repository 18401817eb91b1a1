"""The gate: nothing worse than what serves, or than the best simple idea, becomes champion."""

from __future__ import annotations

from batch.gate import judge
from batch.measure import Measures
from models.evaluation import Difference


def measured(served: float, own: float = 0.18) -> Measures:
    nothing = Difference(0.0, 0.0, 0.0)
    ndcg = {"served": served, "own": own, "popular": 0.09}
    return Measures(10, 100, 50, ndcg, {}, 0.3, 0.5, "own", nothing)


def test_the_first_good_bundle_passes() -> None:
    assert judge(measured(0.20), None, None).passed


def test_losing_to_ones_own_history_is_refused_by_name() -> None:
    (reason,) = judge(measured(0.16), None, None).reasons
    assert "own alone" in reason


def test_a_clear_step_back_from_the_champion_is_refused() -> None:
    assert not judge(measured(0.20), {"ndcg_served": 0.22}, None).passed
    assert judge(measured(0.20), {"ndcg_served": 0.205}, None).passed


def test_a_bundle_that_does_not_answer_is_refused_however_good() -> None:
    assert judge(measured(0.30), None, "the bundle offers nothing").reasons == (
        "the bundle offers nothing",
    )


def test_unmeasured_it_may_begin_but_not_replace() -> None:
    assert judge(None, None, None).passed
    assert not judge(None, {}, None).passed
