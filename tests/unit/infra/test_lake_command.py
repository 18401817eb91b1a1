"""`millrace lake` says what is landed, what is lost, and what is damaged."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from batch.files import read_json
from batch.lake import Lake
from batch.manifest import Batch
from feature_store.topics import INTERACTIONS, ITEMS
from infra.cli import app
from infra.stack.stack import Stack
from tests.builders import NOON
from tests.unit.batch.days import catalogue, decoded, land


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Four items landed, one message refused, and three offsets of interactions lost."""
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    settings = Stack.from_environment().settings()
    lake = Lake(settings.lake)
    bad = {"item_id": "x"}
    land(lake, ITEMS.name, decoded(ITEMS.name, [*catalogue("abcd"), bad], NOON))
    lake.add(INTERACTIONS.name, Batch("gap", "id", {"0": 3}, {"0": 3}, 0, 0), [])
    return lake


def said(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["lake", *arguments], env={"COLUMNS": "200"})


def test_rows_days_offsets_and_gaps_are_shown(lake: Lake) -> None:
    shown = said("--topic", ITEMS.name)
    assert shown.exit_code == 0, shown.output
    assert "2026-03-10 … 2026-03-10" in shown.output
    assert "Kafka deleted offsets 0 to 2 of partition 0" in shown.output
    told = orjson.loads(said("--json").stdout)["topics"]
    assert (told[ITEMS.name]["rows"], told[ITEMS.name]["invalid"]) == (5, 1)
    assert told[ITEMS.name]["days"]["2026-03-10"]["batches"] == 1
    assert told[INTERACTIONS.name]["gaps"] == [{"partition": "0", "start": 0, "until": 3}]


def test_a_damaged_file_is_named_with_its_remedy(lake: Lake) -> None:
    landed = lake.landed(ITEMS.name)
    path = landed.path(landed.files[0])
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    path.write_bytes(content)
    assert said().exit_code == 0
    found = said("--verify")
    assert found.exit_code == 1
    assert f"{path} is damaged: `millrace lake repair`" in found.output


def test_an_unknown_topic_is_one_sentence(lake: Lake) -> None:
    assert "there are user-interactions" in str(said("--topic", "clicks").exception)


def test_small_files_become_one(lake: Lake) -> None:
    land(lake, ITEMS.name, decoded(ITEMS.name, catalogue("ef"), NOON, 5))
    assert "item-metadata: 1 files fewer" in said("compact").output
    assert len(lake.landed(ITEMS.name).files) == 1


def test_a_day_is_let_pass_with_its_reason(lake: Lake) -> None:
    assert said("accept", "2026-12-25", "--because", "Christmas").exit_code == 0
    assert read_json(lake.root / "accepted.json") == {"2026-12-25": "Christmas"}
    assert "write it as 2026-03-10" in str(said("accept", "Christmas", "--because", "x").exception)
