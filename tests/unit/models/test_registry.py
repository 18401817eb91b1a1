"""The registry over MLflow on a file of this test: rolling back, and what an analyst loads."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feature_store.stores.base import UserState
from models import registry as module
from models.bundle import Bundle, write
from models.registry import NIGHT, Registry, UnknownVersion, Version
from models.tracking import ARTEFACT, Record
from tests.unit.batch.market import popularity_ranker
from tests.unit.models.builders import DECLARATION, NOW, catalogue, log, sources

HISTORY = log(
    ("ann", "milk", "purchase", 1.0),
    ("ann", "bread", "purchase", 1.0),
    ("bob", "milk", "purchase", 2.0),
    ("bob", "jam", "purchase", 2.0),
    ("eve", "jam", "purchase", 3.0),
    ("eve", "tea", "purchase", 3.0),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the database and the artefacts of all tests lie: to make one takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def registry(
    home: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """An empty one."""
    monkeypatch.chdir(home)
    return Registry(f"sqlite:///{home}/mlflow.db", request.node.name)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """With a ranker that orders by popularity, whoever asks."""
    found = sources(HISTORY)
    return write(tmp_path, DECLARATION, found, catalogue(), popularity_ranker(), {}, {})


def registered(registry: Registry, bundle: Path, *nights: str) -> list[Version]:
    """One version a night; all but the first without the cost of an upload."""
    first = registry.publish(bundle, tags={NIGHT: nights[0]})
    client = registry._client
    source = client.get_model_version(registry.name, first.version).source
    found = [first]
    for night in nights[1:]:
        tags = {"bundle_id": bundle.name, NIGHT: night}
        made = client.create_model_version(registry.name, source, first.run_id, tags)
        found.append(replace(first, version=str(made.version), tags=tags))
    return found


def champion(registry: Registry) -> str:
    found = registry.champion()
    assert found is not None
    return found.version


def test_rolling_back_passes_over_what_was_rolled_back_before(
    registry: Registry, bundle: Path
) -> None:
    one, two, three, four = registered(registry, bundle, "a", "b", "c", "d")
    for version in (one, two, three):
        registry.promote(version)
    assert registry.roll_back().version == two.version
    registry.promote(four)
    assert registry.roll_back().version == two.version
    assert registry.roll_back().version == one.version
    with pytest.raises(UnknownVersion, match="nothing to roll back to"):
        registry.roll_back()
    assert champion(registry) == one.version


def test_rolling_back_goes_to_the_champion_before_whatever_its_number(
    registry: Registry, bundle: Path
) -> None:
    one, two, _ = registered(registry, bundle, "a", "b", "c")
    for version in (one, two, one):
        registry.promote(version)
    assert registry.roll_back().version == two.version


def test_a_champion_of_long_ago_and_its_night_are_found(
    registry: Registry, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 10)
    many = registered(registry, bundle, *(f"night {n}" for n in range(25)))
    registry.promote(many[0])
    registry.promote(many[-1])
    early = registry.of_night("night 0")
    assert early is not None
    assert early.version == many[0].version
    assert registry.of_night("night 99") is None
    assert registry.roll_back().version == many[0].version


def test_a_promotion_that_is_killed_leaves_no_champion_without_its_tag(
    registry: Registry, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = registered(registry, bundle, "a")
    done: list[str] = []
    for name in ("set_registered_model_alias", "set_model_version_tag"):
        call = getattr(registry._client, name)

        def noted(*args: Any, call: Any = call, name: str = name) -> Any:
            done.append(name)
            return call(*args)

        monkeypatch.setattr(registry._client, name, noted)
    registry.promote(one)
    assert done == ["set_model_version_tag", "set_registered_model_alias"]


def test_promoting_by_hand_forgives_a_roll_back(registry: Registry, bundle: Path) -> None:
    one, two = registered(registry, bundle, "a", "b")
    registry.promote(one)
    registry.promote(two)
    registry.roll_back()
    assert module.ROLLED_BACK in registry.version(two.version).tags
    registry.promote(two)
    assert module.ROLLED_BACK not in registry.version(two.version).tags


#: Of another machine: the packages that a version asks for, and of this repository nothing.
ELSEWHERE = """
import importlib.util, json, sys
sys.path.append(sys.argv[1])  # as it is, without the links to editable installs that lie there
assert not any(map(importlib.util.find_spec, ("models", "feature_store", "batch")))
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[2])
model = mlflow.pyfunc.load_model(sys.argv[3])
lists = model.predict(model.input_example), model.predict(pandas.DataFrame({"user_id": ["ann"]}))
print(json.dumps([lists, sys.modules["models.registry"].__file__]))
"""


def test_a_version_brings_its_code_along(
    registry: Registry, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    (version,) = registered(registry, bundle, "a")
    uri = f"models:/{registry.name}/{version.version}"
    packages = Path(mlflow.__file__).parents[1]
    words = [sys.executable, "-I", "-S", "-c", ELSEWHERE, str(packages), registry.uri, uri]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (example, ann), file = json.loads(done.stdout)
    assert Path(file).parts[-3:] == ("code", "models", "registry.py")
    assert Path(file) != Path(module.__file__)
    monkeypatch.setattr(sys, "path", sys.path)
    here = mlflow.pyfunc.load_model(uri)
    assert example == here.predict(here.input_example)
    assert ann == here.predict(pd.DataFrame({"user_id": ["ann"]}))


def test_our_own_code_stays_in_use_beside_that_of_a_version(
    registry: Registry, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    before = list(sys.path)
    (version,) = registered(registry, bundle, "a")
    assert sys.path == before
    monkeypatch.setattr(sys, "path", sys.path)
    mlflow.pyfunc.load_model(f"models:/{registry.name}/{version.version}")
    ours = Path(module.__file__).parents[1]
    for name, loaded in sys.modules.items():
        if name.split(".")[0] in {"models", "feature_store"}:
            assert ours in Path(str(loaded.__file__)).parents, name
    assert importlib.import_module("models.diversity").__file__ == str(ours / "models/diversity.py")


def test_a_version_asks_for_exactly_what_it_was_made_with(registry: Registry, bundle: Path) -> None:
    import mlflow

    (version,) = registered(registry, bundle, "a")
    uri = f"models:/{registry.name}/{version.version}/requirements.txt"
    asked = Path(mlflow.artifacts.download_artifacts(uri)).read_text().split()
    assert asked == [f"{name}=={installed(name)}" for name in ("mlflow", *module.PACKAGES)]


#: What the code of a version has loaded once it answers, beside the standard library and itself.
LOADED = """
import sys
import models.registry, feature_store.features
names = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
print(*sorted(name for name in names if getattr(sys.modules[name], "__file__", None)))
"""


def test_a_version_asks_for_every_package_that_its_code_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    provided = packages_distributions()
    needed = {name for module in done.stdout.split() for name in provided.get(module, ())}
    assert {"numpy", "pydantic-settings"} <= needed
    assert {_normal(name) for name in needed} <= brought_by(set(module.PACKAGES))


def brought_by(names: set[str]) -> set[str]:
    """These packages and what they bring along."""
    found: set[str] = set()
    while names:
        name = names.pop()
        found.add(_normal(name))
        lines = [line for line in requires(name) or () if "extra ==" not in line]
        more = {re.split(r"[^\w.-]", line)[0] for line in lines}
        names |= {one for one in more if _normal(one) not in found and _is_here(one)}
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_here(name: str) -> bool:
    try:
        return bool(installed(name))
    except PackageNotFoundError:
        return False


def test_a_text_links_to_an_artefact_of_its_run_by_the_page_that_shows_it(
    registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("all checks")
    text = f"[checks]({ARTEFACT}docs/index.html)"
    files = [("docs", tmp_path / "index.html")]
    registry.note(Record(name="night", description=text, texts={"card.md": text}, files=files))
    client = registry._client
    experiment = client.get_experiment_by_name(registry.name)
    (run,) = client.search_runs([experiment.experiment_id])
    here = f"experiments/{experiment.experiment_id}/runs/{run.info.run_id}/artifacts"
    card = client.download_artifacts(run.info.run_id, "card.md")
    for said in (run.data.tags["mlflow.note.content"], Path(card).read_text()):
        assert said == f"[checks](?run={run.info.run_id}#/{here}/docs/index.html)"
    shown = client.download_artifacts(run.info.run_id, "docs/index.html")
    assert Path(shown).read_text() == "all checks"


def test_an_analyst_gets_the_list_that_the_bundle_answers_with(
    registry: Registry, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setattr(sys, "path", sys.path)
    (version,) = registered(registry, bundle, "a")
    model = mlflow.pyfunc.load_model(f"models:/{registry.name}/{version.version}")
    example = model.input_example
    assert list(example.columns) == model.metadata.get_input_schema().input_names() == ["user_id"]
    assert len(model.predict(example)) == len(example)
    loaded = Bundle.load(bundle, DECLARATION)
    people = ["ann", "bob", "eve"]
    lists = model.predict(example.__class__({"user_id": people}))
    for actor, listed in zip(people, lists, strict=True):
        found, scores = loaded.answer(DECLARATION, UserState(actor), NOW)
        best = found.positions[np.argsort(-scores, kind="stable")]
        assert listed == [loaded.item_ids[position] for position in best]
        blend = found.positions[np.argsort(-found.blended(), kind="stable")]
        assert best.tolist() != blend.tolist(), "a blend would pass here too"
