"""A night as analysts see it: every picture is drawn, the card says what the figures say."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
import pytest

from batch.beyond import beyond
from batch.canary import try_canary
from batch.explain import days, drift, keep
from batch.gate import Evidence, judge
from batch.lists import ranked
from batch.measure import measure
from batch.outcomes import METRICS
from batch.reconcile import Drift, Reconciled
from batch.rematch import Rival, replay
from batch.report import Story, describe
from batch.skew import Skew
from feature_store.settings import Settings
from models.sources import SOURCES
from models.tracking import Record
from tests.builders import DAY
from tests.unit.batch.builders import DECLARATION, event, history
from tests.unit.batch.market import RECIPE, learned, market, teacher

DRIFT = {"user.views.h": Drift(tiles=3, by=7)}
REPAIRED = asdict(Reconciled("redis", owned=200, missing=1, different=3, drift=DRIFT))
LANDED = {"user-interactions": {"rows": 2_700, "invalid": 3}}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A night on the market, as its stages would have left it on disk."""
    root = tmp_path_factory.mktemp("night")
    (root / "data_docs").mkdir()
    tonight, past = learned(market()), market()
    version, before = learned(market(days=44)).champion(root / "champion")
    rival = Rival(version, replay(teacher(past), before))
    path, measured = tonight.write(root)
    canary = try_canary(path, measured, DECLARATION)
    found = tonight.outcomes
    found.write(root / "outcomes.parquet")
    test = ranked(tonight.queries, tonight.ranker)
    keep(root, test, tonight.ranker, past)
    measures = measure(test, found, len(past.items.ids))
    told = beyond(test, tonight.ranker, tonight.measured, RECIPE.k)
    assert measures is not None
    assert told is not None
    facts = {
        "bundle": path.name, "landed": LANDED, "offsets": {"user-interactions": {"0": 2_703}},
        "measures": measures.report(), "metrics": measures.flat(), "slices": found.means(),
        "gate": asdict(judge(Evidence(found, canary, rival))), "rival": "1",
        "knows": canary.knows, "latency_ms": canary.latency_ms, "beyond": told.flat(),
        "skew": asdict(Skew(compared=40, moving=2)), "not_compared": "", "reconciled": [REPAIRED],
    }  # fmt: skip
    return Story(root, Settings(lake=root / "lake"), DECLARATION, RECIPE, facts)


@pytest.fixture(scope="module")
def record(story: Story) -> Record:
    return describe(story)


def test_every_picture_is_drawn(record: Record, story: Story) -> None:
    drawn = {path.stem for path in (story.root / "plots").glob("*.png")}
    assert drawn == {
        "ablation", "champion", "contributions", "diversity", "drift_category", "drift_kind",
        "drift_stream", "factor_norms", "importance", "learning_curve", "lists",
    }  # fmt: skip
    assert all(path.stat().st_size > 5_000 for path in (story.root / "plots").glob("*.png"))


def test_the_card_names_the_bundle_its_figures_and_its_data(record: Record, story: Story) -> None:
    card = record.texts["model_card.md"]
    assert story.facts["bundle"] in card
    new = [story.facts["slices"][name] for name in ("new", "recall_new", "mrr_new", "hit_new")]
    assert f"| {' | '.join(f'{figure:.4f}' for figure in new)} |" in card
    assert "| user-interactions | 2,700 | 3 |" in card
    assert "Gate: passed" in card
    assert "[Data Docs](artefact:data_docs/index.html)" in card
    assert record.description == card
    assert ("data_docs", story.root / "data_docs") in record.files


def test_the_run_has_children_for_sources_ranker_evaluation_and_gate(record: Record) -> None:
    names = [child.name for child in record.children]
    assert names == ["sources", "ranker", "evaluation", "stream", "gate"]
    (ranker,) = [child for child in record.children if child.name == "ranker"]
    assert len(ranker.curves["ndcg_by_trees"]) > 1
    assert record.metrics["knows_people"] == 60
    assert record.dataset is not None
    assert len(record.dataset.digest) == 8


def test_the_run_says_what_sources_are_for_and_what_the_stream_got_wrong(record: Record) -> None:
    by_name = {child.name: child.metrics for child in record.children}
    told = by_name["evaluation"]
    assert {f"ndcg_without_{name}" for name in SOURCES} <= told.keys()
    assert {
        f"{metric}_{slice_}" for metric in METRICS for slice_ in ("served", "new", "repeat")
    } <= (told.keys())
    assert told["ndcg_without_own"] != told["ndcg_mmr_0.0"]
    assert by_name["stream"]["redis.user.views.h_tiles"] == 3
    assert by_name["stream"]["vectors_compared"] == 40
    assert record.metrics["drifted_redis"] == 4 / 200


def test_drift_is_nothing_for_the_same_mix_and_all_for_another_shop() -> None:
    same = [event("ann", "a", day * DAY, kind="view") for day in range(35)]
    assert drift(days(history(*same)), "kind") == 0
    other = [event("ann", "a", (35 + day) * DAY, kind="purchase") for day in range(7)]
    assert drift(days(history(*same, *other)), "kind") == 1
    assert drift(pd.DataFrame({"day": [], "what": [], "name": [], "events": []}), "kind") == 0


def test_model_and_record_survive_a_night_without_baskets(story: Story) -> None:
    facts = {**story.facts, "measures": None, "metrics": {}, "slices": {}, "beyond": {}}
    facts |= {"latency_ms": None, "skew": None, "not_compared": "nobody came", "reconciled": []}
    facts["gate"] = {"reasons": (), "notes": (), "against": {}}
    told = describe(Story(story.root, story.settings, DECLARATION, RECIPE, facts))
    assert "Not measured" in told.texts["model_card.md"]
