"""Which Flink jobs should be running, and from which checkpoint each would go on."""

from __future__ import annotations

import importlib
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from feature_store.tiles import DAY_MS
from infra.stack import jobs
from infra.stack.declarations import freeze
from infra.stack.errors import StackError
from infra.stack.home import Home
from infra.stack.jobs import _command, find, submit
from infra.stack.stack import Stack
from infra.stack.streaming import _job, next_generation
from infra.stack.wanted import Wanted, chosen_start, known, newest_checkpoint, remember, wanted
from streaming.job import _remembered_ms

HOT = Wanted(
    name="hot",
    title="shop-hot",
    script="job.py",
    arguments=("--deployment", "hot"),
    deployment="hot",
    state_life_s=3600,
    environment={"MILLRACE_NAMESPACE": "shop"},
)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack that is not running, in the namespace `shop`."""
    monkeypatch.setenv("MILLRACE_NAMESPACE", "shop")
    return Stack(Home(tmp_path))


def checkpoint(home: Home, run: str, number: int, age_s: float, complete: bool = True) -> Path:
    directory = home.checkpoints / HOT.title / run / f"chk-{number}"
    directory.mkdir(parents=True)
    if complete:
        (directory / "_metadata").touch()
        os.utime(directory / "_metadata", (time.time() - age_s,) * 2)
    return directory


def test_wanted_jobs_survive_the_process_that_wanted_them(tmp_path: Path) -> None:
    assert wanted(Home(tmp_path)) == []
    remember(Home(tmp_path), HOT)
    assert wanted(Home(tmp_path)) == [HOT]


def test_a_job_that_should_no_longer_run_is_known_but_not_wanted(tmp_path: Path) -> None:
    remember(Home(tmp_path), HOT)
    remember(Home(tmp_path), replace(HOT, running=False))
    assert wanted(Home(tmp_path)) == []
    assert [*known(Home(tmp_path))] == ["shop-hot"]


def test_the_newest_complete_checkpoint_of_any_run_is_taken(tmp_path: Path) -> None:
    home = Home(tmp_path)
    checkpoint(home, "first", 9, age_s=100)
    newest = checkpoint(home, "second", 1, age_s=10)
    checkpoint(home, "second", 2, age_s=0, complete=False)
    assert newest_checkpoint(home, HOT) == newest


def test_a_checkpoint_older_than_its_state_lives_is_not_taken(tmp_path: Path) -> None:
    checkpoint(Home(tmp_path), "first", 9, age_s=3601)
    assert newest_checkpoint(Home(tmp_path), HOT) is None


def test_state_outlives_the_longest_outage(shop: Stack) -> None:
    settings = shop.settings()
    spare_ms = _remembered_ms(settings) - settings.horizon_ms - DAY_MS
    life_s = _job(shop, "hot", 0).state_life_s
    assert life_s is not None
    assert 0 < 1000 * life_s <= spare_ms


def test_a_run_that_was_left_for_an_older_state_is_not_gone_on_from(tmp_path: Path) -> None:
    home, savepoint = Home(tmp_path), tmp_path / "savepoint-1"
    savepoint.mkdir()
    (savepoint / "_metadata").touch()
    os.utime(savepoint / "_metadata", (time.time() - 100,) * 2)
    checkpoint(home, "left", 9, age_s=10)
    back = replace(HOT, start_from=str(savepoint), submitted_at=time.time() - 5)
    assert newest_checkpoint(home, back) == savepoint
    newer = checkpoint(home, "new", 1, age_s=1)
    assert newest_checkpoint(home, back) == newer


def test_what_a_person_chose_to_start_from_stays_theirs(shop: Stack, tmp_path: Path) -> None:
    def mode(start_from: Path) -> str:
        words = _command(shop, replace(HOT, start_from=str(tmp_path / "mine")), start_from)
        return words[words.index("-cm") + 1]

    assert mode(tmp_path / "mine") == "no_claim"
    assert mode(tmp_path / "chk-3") == "claim"


def test_a_job_that_runs_already_takes_the_name_it_is_asked_by(
    shop: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = replace(HOT, name="hot-g1", title="shop-hot-g1", generation=1)
    remember(shop.home, left)
    monkeypatch.setattr(jobs, "latest", lambda *_: SimpleNamespace(id="f00", live=True))
    assert submit(shop, replace(left, name="hot")) == "f00"
    assert find(shop, "hot") == replace(left, name="hot")


def test_a_job_without_a_checkpoint_goes_on_from_where_it_was_started(tmp_path: Path) -> None:
    home, savepoint = Home(tmp_path), tmp_path / "savepoint-1"
    savepoint.mkdir()
    (savepoint / "_metadata").touch()
    restored = replace(HOT, start_from=str(savepoint))
    assert newest_checkpoint(home, restored) == savepoint
    later = checkpoint(home, "first", 1, age_s=-1)
    assert newest_checkpoint(home, restored) == later


def test_a_job_starts_from_a_chosen_state_only_while_that_lives(tmp_path: Path) -> None:
    assert chosen_start(HOT) is None
    told = replace(HOT, start_from=str(tmp_path / "savepoint-1"))
    with pytest.raises(StackError, match="neither a savepoint nor a whole checkpoint"):
        chosen_start(told)
    savepoint = checkpoint(Home(tmp_path), "first", 1, age_s=10)
    assert chosen_start(replace(told, start_from=str(savepoint))) == savepoint
    old = checkpoint(Home(tmp_path), "first", 2, age_s=3601)
    with pytest.raises(StackError, match="expired"):
        chosen_start(replace(told, start_from=str(old)))


def test_a_name_is_the_running_generation_and_else_the_newest(shop: Stack) -> None:
    old = replace(HOT, running=False)
    upgraded = replace(HOT, title="shop-hot-g1", generation=1)
    elsewhere = replace(HOT, title="bar-hot", environment={"MILLRACE_NAMESPACE": "bar"})
    remember(shop.home, old, upgraded, elsewhere)
    assert find(shop, "hot") == upgraded
    assert find(shop, "bar-hot") == elsewhere
    ended = replace(upgraded, running=False)
    remember(shop.home, ended)
    assert find(shop, "hot") == ended


def test_a_generation_is_never_used_twice(shop: Stack) -> None:
    given_up = replace(HOT, name="hot-g1", title="shop-hot-g1", generation=1, running=False)
    remember(shop.home, HOT, given_up)
    following = next_generation(shop, HOT)
    assert (following.title, following.generation) == ("shop-hot-g2", 2)
    assert following.arguments[-2:] == ("--generation", "2")


def test_a_restart_compiles_the_declaration_of_the_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "frozen_features.py"
    module.write_text("FEATURES = ()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    home = Home(tmp_path / "home")
    first = freeze(home, "frozen_features")
    module.write_text("FEATURES = ()  # of tomorrow\n")
    second = freeze(home, "frozen_features")
    kept = home.declarations / f"{first['MILLRACE_FEATURES']}.py"
    assert kept.read_text() == "FEATURES = ()\n"
    assert first["MILLRACE_FEATURES"] != second["MILLRACE_FEATURES"]


def test_a_declaration_changes_with_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shop_features.py").write_text("from shop_base import FEATURES\n")
    names = set()
    for chosen in ("FEATURES", "FEATURES[:5]", "FEATURES[:5]"):
        source = f"from feature_store import features\nFEATURES = features.{chosen}\n"
        (tmp_path / "shop_base.py").write_text(source)
        importlib.invalidate_caches()
        for module in ("shop_features", "shop_base"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        names.add(freeze(Home(tmp_path / "home"), "shop_features")["MILLRACE_FEATURES"])
    assert len(names) == 2


def test_a_declaration_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="MILLRACE_FEATURES=nowhere"):
        freeze(Home(tmp_path), "nowhere")
