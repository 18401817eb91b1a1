"""Following @champion: a good bundle is swapped in whole, a bad one changes nothing."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from feature_store.tiles import DAY_MS
from models.ranker import Ranker
from models.registry import RegistryUnavailable
from serving.champion import LONGEST_PAUSE_S, PAUSE_S
from serving.copies import MARKER
from tests.unit.serving.world import HISTORY, NOW, Make, World, publish_bundle


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another good bundle, as a registry would have it."""
    return publish_bundle(tmp_path / "registry", rows=HISTORY[:-1])


@pytest.fixture
def served(make: Make, tmp_path: Path) -> World:
    """A world with a shelf of its own."""
    publish_bundle(tmp_path / "shelf")
    return make(root=tmp_path / "shelf")


def serving(world: World) -> str | None:
    live = world.parts.champion.live
    return live.bundle.id if live else None


def damage(path: Path, file: str = "popularity.npy") -> None:
    target = path / file
    target.write_bytes(target.read_bytes()[:-1] + b"\x07")


def spoil(path: Path, what: str, elsewhere: Path) -> None:
    """Damages a bundle; one that cannot be read stands on a disk that fails (EIO)."""
    target = path / "popularity.npy"
    match what:
        case "damaged":
            damage(path)
        case "missing":
            target.unlink()
        case "unreadable":
            target.unlink()
            target.symlink_to("/proc/self/mem")
        case "replaced":
            older = publish_bundle(elsewhere / "older", rows=HISTORY[:-5], cut=NOW - 2 * DAY_MS)
            shutil.rmtree(path)
            older.rename(path)


def model(world: World) -> dict[str, Any]:
    """What the status says of the model."""
    parts = world.http.get("/api/status").json()["parts"]
    found: dict[str, Any] = next(part for part in parts if part["name"] == "model")
    return found


def test_the_alias_is_followed_there_and_back(served: World, other: Path) -> None:
    first = serving(served)
    served.registry.points_to = other
    served.parts.champion.turn()
    assert serving(served) == other.name != first
    assert served.list_for("ann")["bundle"] == other.name
    served.registry.points_to = served.root / str(first)
    served.parts.champion.turn()
    assert serving(served) == first


@pytest.mark.parametrize("file", ["popularity.npy", "manifest.json", "ranker.txt", "actors.json"])
def test_a_corrupt_champion_is_refused_and_the_old_one_keeps_serving(
    served: World, other: Path, file: str
) -> None:
    first = serving(served)
    damage(other, file)
    served.registry.points_to = other
    served.parts.champion.turn()
    assert serving(served) == first
    assert served.list_for("ann")["items"]
    assert served.telemetry.refused._value.get() >= 1


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock by which a version is left alone: it stands."""
    now = [1_000.0]
    monkeypatch.setattr("serving.champion.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.usefixtures("seconds")
def test_a_refused_version_is_not_fetched_again_and_again(served: World, other: Path) -> None:
    damage(other)
    served.registry.points_to = other
    for _ in range(5):
        served.parts.champion.turn()
    assert served.telemetry.refused._value.get() == 2


def test_what_came_damaged_is_fetched_again_after_a_while(
    served: World, other: Path, seconds: list[float]
) -> None:
    first, sound = serving(served), (other / "popularity.npy").read_bytes()
    damage(other)
    served.registry.points_to = other
    served.parts.champion.turn()
    assert "popularity.npy" in model(served)["detail"]
    assert served.telemetry.awaited._value.get() == 1
    assert not (served.root / other.name).exists()
    (other / "popularity.npy").write_bytes(sound)
    served.parts.champion.turn()
    assert serving(served) == first
    seconds[0] += PAUSE_S
    served.parts.champion.turn()
    assert serving(served) == other.name
    assert model(served) == {"name": "model", "state": "up", "detail": ""}
    assert served.telemetry.awaited._value.get() == 0


@pytest.mark.parametrize("what", ["damaged", "missing", "unreadable", "replaced"])
def test_a_bad_local_copy_is_fetched_anew(
    served: World, other: Path, tmp_path: Path, what: str
) -> None:
    served.registry.points_to = other
    version = served.registry.champion()
    assert version
    spoil(served.registry.fetch(version, served.root), what, tmp_path)
    served.parts.champion.turn()
    assert serving(served) == other.name
    assert served.telemetry.refused._value.get() == 1


def test_processes_that_find_a_damaged_copy_together_fetch_it_once(
    served: World, other: Path
) -> None:
    processes = [served, *(World(served.root, registry=served.registry) for _ in range(2))]
    for process in processes:
        process.registry.points_to = other
    version = served.registry.champion()
    assert version
    damage(served.registry.fetch(version, served.root))

    def follow(process: World) -> None:
        while serving(process) != other.name:
            process.parts.champion.turn()

    following = [threading.Thread(target=follow, args=(process,)) for process in processes]
    for thread in following:
        thread.start()
    for thread in following:
        thread.join()
    assert [serving(process) for process in processes] == [other.name] * 3
    assert sum(process.telemetry.refused._value.get() for process in processes) == 1


def test_a_bundle_that_loads_but_cannot_rank_is_refused(
    served: World, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = serving(served)

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Ranker, "predict", fail)
    served.registry.points_to = other
    served.parts.champion.turn()
    assert serving(served) == first


def test_an_old_bundle_under_another_name_is_refused(served: World, other: Path) -> None:
    first = served.root / str(serving(served))
    renamed = other.parent / "0123456789abcdef"
    first.rename(renamed)
    served.registry.points_to = renamed
    served.parts.champion.turn()
    assert serving(served) == first.name


def test_an_old_bundle_registered_as_a_new_version_is_refused_and_a_rollback_is_not(
    served: World, tmp_path: Path
) -> None:
    old = publish_bundle(tmp_path / "old", rows=HISTORY[:-1], cut=NOW - 2 * DAY_MS)
    new = publish_bundle(tmp_path / "new", rows=HISTORY[:-2])
    for number, bundle, expected in (("3", new, new), ("4", old, new), ("2", old, old)):
        served.registry.points_to, served.registry.number = bundle, number
        served.parts.champion.turn()
        assert serving(served) == expected.name
    assert served.telemetry.refused._value.get() == 1


@pytest.mark.parametrize("known_by", ["following", "name"])
def test_after_a_restart_an_old_bundle_is_still_no_new_version(
    served: World, tmp_path: Path, known_by: str
) -> None:
    old = publish_bundle(tmp_path / "old", rows=HISTORY[:-1], cut=NOW - 2 * DAY_MS)
    new = publish_bundle(tmp_path / "new", rows=HISTORY[:-2])
    if known_by == "name":  # it lay on the disk before anybody knew its version
        publish_bundle(served.root, rows=HISTORY[:-2])
        (served.root / MARKER).write_text(new.name)
    served.registry.points_to, served.registry.number = new, "3"
    served.parts.champion.turn()
    for number, bundle, expected in (("4", old, new), ("2", old, old), ("5", new, new)):
        restarted = World(served.root).settle()
        before = serving(restarted)
        restarted.registry.points_to, restarted.registry.number = bundle, number
        restarted.parts.champion.turn()
        assert serving(restarted) == expected.name, (number, before)


@pytest.mark.parametrize("text", ["", "x y", "a b c d", "\0", "one 2 three"])
def test_a_marker_that_cannot_be_read_costs_what_it_said(served: World, text: str) -> None:
    first = serving(served)
    (served.root / MARKER).write_text(text)
    assert serving(World(served.root).settle()) == first


def test_promotions_and_rollbacks_under_load_fail_no_request(served: World, other: Path) -> None:
    damaged = publish_bundle(other.parent / "damaged", rows=HISTORY[:-2])
    damage(damaged)
    first = served.root / str(serving(served))
    done, answers = threading.Event(), []

    def ask() -> None:
        while not done.is_set():
            answers.append(served.list_for("ann", limit=5))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for bundle in (other, damaged, first, damaged) * 4:
        served.registry.points_to = bundle
        served.parts.champion.turn()
        seen = len(answers)
        while len(answers) < seen + 5:
            time.sleep(0.001)
    done.set()
    for asker in askers:
        asker.join()
    assert {answer["bundle"] for answer in answers} == {first.name, other.name}
    assert {len(answer["items"]) for answer in answers} == {5}


def test_mlflow_being_down_changes_nothing(served: World) -> None:
    first = serving(served)
    served.parts.champion.turn()
    assert serving(served) == first


def test_a_restart_serves_the_last_champion_not_merely_the_newest(
    served: World, other: Path, make: Make
) -> None:
    served.registry.points_to = other
    served.parts.champion.turn()
    publish_bundle(served.root, rows=HISTORY[:-2])
    assert serving(make(root=served.root)) == other.name


@pytest.mark.parametrize("what", ["damaged", "missing", "unreadable", "replaced"])
def test_a_start_passes_over_bad_bundles_and_says_so(
    served: World, make: Make, tmp_path: Path, what: str
) -> None:
    newest = publish_bundle(served.root, rows=HISTORY[:-2])
    (served.root / MARKER).write_text(newest.name)
    spoil(newest, what, tmp_path)
    (served.root / ".fetching-x").mkdir()
    world = make(root=served.root)
    assert serving(world) not in (None, newest.name)
    assert newest.name in model(world)["detail"]


@pytest.mark.parametrize("what", ["damaged", "missing", "unreadable", "replaced"])
def test_with_bad_bundles_alone_a_start_says_what_is_wrong_and_lists_what_sells(
    tmp_path: Path, what: str
) -> None:
    alone = publish_bundle(tmp_path / "shelf")
    spoil(alone, what, tmp_path)
    world = World(tmp_path / "shelf").settle()
    ready = world.http.get("/health/ready")
    assert ready.status_code == 503
    assert alone.name in ready.json()["detail"]
    assert model(world)["state"] == "out"
    answer = world.list_for("ann")
    assert answer["bundle"] is None
    assert answer["items"]


def test_a_shelf_that_cannot_be_read_does_not_keep_a_server_from_starting(tmp_path: Path) -> None:
    world = World(tmp_path / ("x" * 300)).settle()  # a name that no system looks up, for root too
    assert "cannot be read" in model(world)["detail"]
    assert world.list_for("ann")["items"]


def test_a_bundle_that_does_not_come_is_no_registry_that_is_out(
    served: World, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail(*_: object) -> Path:
        asked.append(1)
        raise RegistryUnavailable("no space left")

    monkeypatch.setattr(served.registry, "fetch", fail)
    served.registry.points_to = other
    for _ in range(5):
        served.parts.champion.turn()
    assert len(asked) == 1
    assert served.parts.champion.registry_answers
    assert model(served) == {"name": "model", "state": "up", "detail": "no space left"}


def test_the_longer_a_champion_does_not_come_the_seldomer_it_is_fetched(
    served: World, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, asked, said = [0.0], [], []

    def fail(*_: object) -> Path:
        asked.append(clock[0])
        said.append(model(served)["detail"])
        raise RegistryUnavailable("out")

    monkeypatch.setattr(served.registry, "fetch", fail)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    served.registry.points_to = other
    for second in range(7_200):
        clock[0] = float(second)
        served.parts.champion.turn()
    waited = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert waited[:5] == [2, 4, 8, 16, 32]
    assert said[:3] == [f"version {other.name} is on its way", "out", "out"]
    assert max(waited) == LONGEST_PAUSE_S


def test_a_shelf_that_cannot_be_written_is_no_obstacle(served: World, other: Path) -> None:
    (served.root / MARKER).unlink()
    os.mkdir(served.root / MARKER)
    served.registry.points_to = other
    served.parts.champion.turn()
    assert serving(served) == other.name


def test_metrics_name_the_bundle_that_serves(served: World, other: Path) -> None:
    first = serving(served)
    served.registry.points_to = other
    served.parts.champion.turn()
    said = served.telemetry.exposition().decode()
    assert f'millrace_serving_bundle{{bundle="{other.name}"}} 1.0' in said
    assert f'millrace_serving_bundle{{bundle="{first}"}} 0.0' in said


def test_metrics_say_whether_the_ranker_runs_compiled(tmp_path: Path) -> None:
    publish_bundle(tmp_path)
    there = World(tmp_path).settle()
    assert b"millrace_serving_ranker_compiled 1.0" in there.telemetry.exposition()
