"""`millrace models` against a real MLflow: what is there, what differs, and who is champion."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from typer.testing import CliRunner, Result

from feature_store.settings import Settings
from infra.commands import models as command
from infra.stack.errors import StackError
from models.announced import Announced
from models.bundle import Bundle
from models.registry import Registry, RegistryUnavailable, Version
from models.tracking import Record
from tests.unit.serving.world import DECLARATION, HISTORY, publish_bundle

RUNNER = CliRunner()


@pytest.fixture
def registry(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The commands ask this one."""
    monkeypatch.setattr(command.Stack, "settings", lambda self: settings)
    return Registry(settings.mlflow, settings.namespace)


def published(registry: Registry, root: Path, rows: int, ndcg: float, gate: str) -> Version:
    path = publish_bundle(root / f"{rows}", rows=HISTORY[:rows])
    version = registry.publish(path, Record(metrics={"ndcg_served": ndcg}))
    registry.tag(version, {"gate": gate, "gate_reasons": "worse than version 1"})
    return version


def run(*words: str) -> Result:
    return RUNNER.invoke(command.models, list(words))


def test_versions_are_listed_compared_promoted_and_rolled_back(
    registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(StackError, match="run `millrace nightly`"):
        RUNNER.invoke(command.models, ["list"], catch_exceptions=False)
    one = published(registry, tmp_path, -1, 0.20, "passed")
    two = published(registry, tmp_path, -2, 0.25, "passed")
    bad = published(registry, tmp_path, -3, 0.05, "refused")

    for version in (one, two):
        assert run("promote", version.version).exit_code == 0
    refused = run("promote", bad.version)
    assert "worse than version 1" in str(refused.exception)
    assert registry.version("@champion").version == two.version

    listed = json.loads(run("list", "--json").stdout)
    assert [x["version"] for x in listed] == ["3", "2", "1"]
    assert [x["aliases"] for x in listed] == [[], ["champion"], []]
    table = run("list").stdout
    assert "@champion" in table
    assert "0.2500" in table
    assert json.loads(run("compare", "1", "2", "--json").stdout) == {"ndcg_served": [0.2, 0.25]}
    assert "+0.0500" in run("compare", "1", "@champion").stdout
    assert two.bundle_id in run("show").stdout

    assert run("rollback").exit_code == 0
    champion = registry.champion()
    assert champion is not None
    assert champion.version == one.version
    assert "rolled_back_at" in registry.version(two.version).tags
    assert "nothing to roll back to" in str(run("rollback").exception)
    assert run("promote", bad.version, "--force").exit_code == 0
    assert "no version 99" in str(run("show", "99").exception)


def test_serving_hears_of_a_champion_and_fetches_it_without_mlflow_in_its_process(
    registry: Registry, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A version that is not champion is asked for at the end: it is to fail for its own reason.
    monkeypatch.setattr("models.announced.LOOK_S", 60)
    announced = Announced(settings.mlflow, settings.namespace)
    assert announced.champion() is None
    version = published(registry, tmp_path, -1, 0.20, "passed")
    assert announced.champion() is None
    registry.promote(version)

    champion = announced.champion()
    assert champion is not None
    assert (champion.version, champion.bundle_id) == (version.version, version.bundle_id)
    fetched = announced.fetch(champion, tmp_path / "fetched")
    assert fetched == tmp_path / "fetched" / version.bundle_id
    assert Bundle.load(fetched, DECLARATION).id == version.bundle_id
    with pytest.raises(RegistryUnavailable, match="has no version 99"):
        announced.fetch(replace(champion, version="99"), tmp_path / "none")


def test_a_registry_that_is_down_is_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = settings.model_copy(update={"mlflow": "http://127.0.0.1:1"})
    monkeypatch.setattr(command.Stack, "settings", lambda self: nowhere)
    with pytest.raises(StackError, match="Check `millrace status`"):
        RUNNER.invoke(command.models, ["list"], catch_exceptions=False)


def test_a_run_that_registers_nothing_is_there_once(registry: Registry, settings: Settings) -> None:
    refused = Record(name="refused a1b2", description="no prices", tags={"gate": "data refused"})
    for _ in range(2):
        registry.note(refused)
    client = mlflow.MlflowClient(settings.mlflow)
    experiment = client.get_experiment_by_name(registry.name)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == refused.name
