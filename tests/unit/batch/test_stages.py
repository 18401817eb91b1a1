"""A night goes on after the last stage that finished, and only the same night does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from batch import stages
from batch.lake import Lake
from batch.manifest import Batch
from batch.need import MOST_DRIFT, Learned, need
from batch.progress import Progress
from batch.recipe import Recipe
from batch.stages import NIGHTS_KEPT, STALE_MS, Facts, Night
from feature_store.settings import Settings
from feature_store.tiles import DAY_MS
from feature_store.topics import INTERACTIONS
from tests.unit.batch.builders import DECLARATION

PROGRESS = Progress("test", 3)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(lake=tmp_path)


def night(settings: Settings, recipe: Recipe | None = None) -> Night:
    return Night.of(settings, DECLARATION, recipe or Recipe(), PROGRESS)


def land(settings: Settings, until: int) -> None:
    rows = Batch(f"b{until}", "topic-1", {"0": 0}, {"0": until}, until, 0)
    Lake(settings.lake).add(settings.topic(INTERACTIONS.name), rows, [])


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_stage_that_finished_is_not_done_again(settings: Settings) -> None:
    done: list[str] = []

    def counted(said: list[str]) -> Facts:
        done.append("x")
        return {"tiles": len(done)}

    assert night(settings).stage("recount", counted) == {"tiles": 1}
    assert night(settings).stage("recount", counted) == {"tiles": 1}
    assert night(settings).stage("recount", counted, always=True) == {"tiles": 2}


def test_a_stage_that_was_killed_is_done_again(settings: Settings) -> None:
    def killed(said: list[str]) -> Facts:
        raise Killed

    with pytest.raises(Killed):
        night(settings).stage("learn", killed)
    assert night(settings).stage("learn", lambda said: {"bundle": "b"}) == {"bundle": "b"}


def test_a_stage_that_missed_a_store_is_done_again_until_it_has_not(settings: Settings) -> None:
    missed = [["redis"], [], []]

    def work(said: list[str]) -> Facts:
        return {"missed": missed.pop(0)}

    facts = [night(settings).stage("precompute", work) for _ in range(3)]
    assert facts == [{"missed": ["redis"]}, {"missed": []}, {"missed": []}]
    assert len(missed) == 1


def test_other_offsets_another_recipe_and_other_code_make_another_night(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = night(settings).key
    assert night(settings).key == first
    assert night(settings, replace(Recipe(), k=20)).key != first
    land(settings, 5)
    second = night(settings).key
    assert second != first
    monkeypatch.setattr(stages, "code_digest", lambda: "changed")
    assert night(settings).key != second


def test_a_killed_night_is_unfinished_until_it_is_over_or_too_old(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tonight = night(settings)
    assert not tonight.unfinished
    tonight.begin({})
    assert night(settings).unfinished
    clock = stages.time.time_ns
    monkeypatch.setattr(stages.time, "time_ns", lambda: clock() + STALE_MS * 1_000_000)
    assert not night(settings).unfinished
    monkeypatch.undo()
    tonight.finish({})
    assert not night(settings).unfinished


def test_a_rerun_keeps_the_time_the_night_began(settings: Settings) -> None:
    night(settings).begin({"new": 1})
    began = night(settings).began_at
    night(settings).begin({"new": 2})
    assert night(settings).began_at == began


def test_old_nights_are_forgotten_and_this_one_is_not(settings: Settings) -> None:
    for offset in range(1, NIGHTS_KEPT + 4):
        land(settings, offset)
        tonight = night(settings)
        tonight.begin({})
        tonight.finish({})
    kept = list((settings.lake / "nights").iterdir())
    assert len(kept) == NIGHTS_KEPT
    assert tonight.root in kept


LAST = Learned(at=0, rows=1_000, made_by="recipe")


@pytest.mark.parametrize(
    ("last", "tonight", "champion", "drift", "why"),
    [
        (LAST, LAST, False, 0.0, "no champion"),
        (None, LAST, True, 0.0, "has learned"),
        (LAST, replace(LAST, made_by="other"), True, 0.0, "recipe, the declaration or the code"),
        (LAST, replace(LAST, rows=1_020), True, 0.0, "2.0% more"),
        (LAST, replace(LAST, rows=1_001, at=8 * DAY_MS), True, 0.0, "8.0 days"),
        (LAST, replace(LAST, at=DAY_MS), True, MOST_DRIFT, "15% of what people do has moved"),
    ],
)
def test_each_rule_asks_for_a_model_and_says_why(
    last: Learned | None, tonight: Learned, champion: bool, drift: float, why: str
) -> None:
    found = need(last, tonight, champion, lambda: drift)
    assert found.learn
    assert why in found.why


def test_nothing_new_asks_for_nothing_and_says_so() -> None:
    found = need(LAST, replace(LAST, rows=1_001, at=DAY_MS), True, lambda: 0.01)
    assert not found.learn
    assert "0.1% more interactions in 1.0 days, 1% of what people do has moved" in found.why
