"""A night whose data is refused says so where analysts look, and the error says where to read."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from pyspark.sql import SparkSession

from batch import night as module
from batch.night import Tonight
from batch.progress import Progress
from batch.recipe import Recipe
from batch.stages import Night
from batch.validate import DataRefused, Report
from feature_store.settings import Settings
from models.registry import RegistryUnavailable
from models.tracking import Record
from tests.unit.batch.builders import DECLARATION

FAULT = "day 2026-03-10: events is 0, expected at least 1: nothing came"


class Notes:
    """What is asked of the registry; `down`: it does not answer."""

    def __init__(self, down: bool) -> None:
        self.down = down
        self.runs: list[Record] = []

    def note(self, record: Record) -> None:
        if self.down:
            raise RegistryUnavailable("MLflow is away")
        self.runs.append(record)


@pytest.mark.parametrize("down", [False, True])
def test_a_refused_night_leaves_a_run_with_the_reason_and_names_its_pages(
    down: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = tmp_path / "data_docs"
    docs.mkdir()
    monkeypatch.setattr(module, "validate", lambda *_: Report(25, (FAULT,), docs=docs))
    night = Night(tmp_path / "nights" / "abc", Progress("nightly", 9))
    night.begin({})
    tonight = Tonight(
        cast("SparkSession", None), Settings(lake=tmp_path), DECLARATION, Recipe(), night
    )
    notes = tonight.__dict__["registry"] = Notes(down)

    with pytest.raises(DataRefused, match=f"{FAULT}.*{docs}/index.html"):
        tonight.validate()

    assert not night.unfinished, "the next run must land first"
    if down:
        assert "MLflow is away" in capsys.readouterr().out
        return
    (run,) = notes.runs
    assert FAULT in run.description
    assert run.tags == {"night": "abc", "gate": "data refused"}
    assert run.files == [("data_docs", docs)]


@pytest.mark.parametrize("go_on", [True, False])
def test_a_recount_alone_lands_first_whatever_night_was_killed(
    go_on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed = []
    monkeypatch.setattr(module, "land", lambda *_: landed.append("what is new") or [])
    spark, settings = cast("SparkSession", None), Settings(lake=tmp_path)
    Tonight.begin(spark, settings, Recipe())
    Tonight.begin(spark, settings, Recipe(), go_on)
    assert len(landed) == (1 if go_on else 2)
