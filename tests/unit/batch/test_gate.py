"""The gate: of good and bad models, made on one small market, only the good become champion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batch.canary import Canary, try_canary
from batch.gate import Evidence, Verdict, judge
from batch.history import History
from batch.rematch import Rival, replay
from models.registry import Version
from models.sources import Sources
from tests.unit.batch.builders import DECLARATION, history
from tests.unit.batch.market import (
    RANK,
    Model,
    constant_ranker,
    fit,
    learned,
    market,
    popularity_ranker,
    teacher,
    with_factors,
)

FINE = Canary((), {})


@pytest.fixture(scope="module")
def past() -> History:
    return market()


@pytest.fixture(scope="module")
def good(past: History) -> Model:
    return learned(past)


@pytest.fixture(scope="module")
def rival(past: History, tmp_path_factory: pytest.TempPathFactory) -> Rival:
    """The champion of the night before, tested on tonight's baskets."""
    yesterday = market(days=44)
    version, measured = learned(yesterday).champion(tmp_path_factory.mktemp("champion"))
    return Rival(version, replay(teacher(past), measured))


def verdict_on(model: Model, rival: Rival | None, root: Path) -> Verdict:
    return judge(Evidence(model.outcomes, model.canary(root), rival))


def random_factors(model: Model) -> Model:
    def scrambled(found: Sources) -> Sources:
        noise = np.random.default_rng(3).normal(size=(len(found.item_ids), RANK))
        return with_factors(found, noise)

    return replace(
        model, measured=scrambled(model.measured), everything=scrambled(model.everything)
    )


def popularity_collapse(model: Model) -> Model:
    return replace(model, ranker=popularity_ranker())


def label_leak(model: Model) -> Model:
    seen = fit(model.past, model.past.end)
    return replace(model, measured=replace(seen, cut_ms=model.measured.cut_ms))


def half_the_data(model: Model) -> Model:
    rest = history(*model.past.events[::2]).over(model.past.items.ids)
    half = replace(rest, items=model.past.items)
    return replace(
        model, measured=fit(half, model.measured.cut_ms), everything=fit(half, model.past.end)
    )


def without_order(model: Model) -> Model:
    return replace(model, ranker=constant_ranker())


BAD: dict[str, tuple[Callable[[Model], Model], str]] = {
    "random factors": (random_factors, "als alone"),
    "popularity collapse": (popularity_collapse, "everybody gets the same list"),
    "label leak": (label_leak, "a leak"),
    "half the data": (half_the_data, "data is missing"),
    "constant ranker": (without_order, "the same score"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_is_not_promoted_and_the_reason_names_the_fault(
    name: str, good: Model, rival: Rival, tmp_path: Path
) -> None:
    spoil, reason = BAD[name]
    verdict = verdict_on(spoil(good), rival, tmp_path)
    assert any(reason in said for said in verdict.reasons), verdict.reasons


def test_a_good_model_is_promoted_over_the_champion_of_the_night_before(
    good: Model, rival: Rival, tmp_path: Path
) -> None:
    verdict = verdict_on(good, rival, tmp_path)
    assert verdict.passed, verdict.reasons
    assert verdict.against["served"]["low"] < 0.05


def test_beside_a_champion_that_cannot_be_tested_a_model_must_not_know_less(
    good: Model, rival: Rival, tmp_path: Path
) -> None:
    untested = replace(rival, outcomes=None, why_not="it does not load here")
    assert verdict_on(good, untested, tmp_path / "good").passed
    verdict = verdict_on(half_the_data(good), untested, tmp_path / "half")
    assert any("data is missing" in said for said in verdict.reasons), verdict.reasons
    assert "version 1 was not tested tonight: it does not load here" in verdict.notes


def test_the_champion_is_tested_on_the_same_baskets_though_it_knows_other_items(
    past: History, good: Model, rival: Rival
) -> None:
    assert rival.outcomes is not None
    keys = ["actor", "moment", "wanted"]
    assert rival.outcomes.rows[keys].equals(good.outcomes.rows[keys])


def test_the_order_of_the_catalogue_changes_no_outcome(
    past: History, good: Model, tmp_path: Path
) -> None:
    _, measured = good.champion(tmp_path)
    again = replay(teacher(past), measured)
    assert again.mean("served") == pytest.approx(good.outcomes.mean("served"))
    assert again.rows["shown"].tolist() == good.outcomes.rows["shown"].tolist()


def test_the_first_good_bundle_passes(good: Model, tmp_path: Path) -> None:
    assert verdict_on(good, None, tmp_path).passed


@pytest.mark.parametrize("name", ["popularity collapse", "label leak", "constant ranker"])
def test_some_faults_are_seen_without_a_champion(name: str, good: Model, tmp_path: Path) -> None:
    assert not verdict_on(BAD[name][0](good), None, tmp_path).passed


def test_a_damaged_bundle_is_a_reason_and_no_crash(good: Model, tmp_path: Path) -> None:
    path, measured = good.write(tmp_path)
    (path / "als_factors.npy").write_bytes(b"\x93NUMPY broken")
    (reason,) = try_canary(path, measured, DECLARATION).reasons
    assert "does not load" in reason


def test_unmeasured_it_may_begin_but_not_replace() -> None:
    nobody = Rival(Version("1", "b" * 16, "run", {}), None)
    assert judge(Evidence(None, FINE)).passed
    assert not judge(Evidence(None, FINE, nobody)).passed


def test_a_skewed_vector_is_a_reason() -> None:
    assert not judge(Evidence(None, FINE, skewed=1)).passed
    assert judge(Evidence(None, FINE, skewed=0)).passed
