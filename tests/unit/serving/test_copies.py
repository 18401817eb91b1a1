"""Old bundles go when a new one has come; what serves, served before, or is used stays."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from feature_store.declaration import Declaration
from models.bundle import Bundle
from serving.copies import DROPPED, MARKER
from tests.unit.serving.world import HISTORY, World, publish_bundle

#: A process that holds a bundle, says so, and never ends by itself.
HOLDER: Final = """
import sys, time
from pathlib import Path
from feature_store.locks import beside
with beside(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def nights(tmp_path: Path) -> list[Path]:
    """The bundles of five nights, as a registry would have them."""
    return [publish_bundle(tmp_path / "registry", rows=HISTORY[: 17 - night]) for night in range(5)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


def follow(world: World, *bundles: Path) -> None:
    """Each becomes champion, and the process looks."""
    for bundle in bundles:
        world.registry.points_to = bundle
        world.parts.champion.turn()
        assert serving(world) == bundle.name


def serving(world: World) -> str | None:
    live = world.parts.champion.live
    return live.bundle.id if live else None


def on(root: Path) -> set[str]:
    """What lies there, but for the marker."""
    return {path.name for path in root.iterdir()} - {MARKER}


def names(bundles: Sequence[Path]) -> set[str]:
    return {bundle.name for bundle in bundles}


def test_the_bundle_that_serves_and_the_one_before_stay(root: Path, nights: list[Path]) -> None:
    world = World(root)
    follow(world, *nights[:4])
    assert on(root) == names(nights[2:4])
    follow(world, nights[2])
    assert on(root) == names(nights[2:4])
    follow(world, nights[4])
    assert on(root) == names([nights[2], nights[4]])


def test_a_restart_knows_which_one_was_before(root: Path, nights: list[Path]) -> None:
    follow(World(root), *nights[:3])
    restarted = World(root).settle()
    follow(restarted, nights[2])
    assert on(root) == names(nights[1:3])
    follow(restarted, nights[1], nights[2], nights[3])
    assert on(root) == names(nights[2:4])


def test_what_another_process_serves_stays_until_it_follows(root: Path, nights: list[Path]) -> None:
    one, other = World(root), World(root)
    follow(one, nights[0])
    other.settle()
    follow(one, *nights[1:4])
    assert on(root) == names([nights[0], *nights[2:4]])
    assert other.list_for("ann")["bundle"] == nights[0].name
    follow(other, nights[3])
    assert on(root) == names(nights[2:4])


def test_a_process_that_is_killed_holds_nothing(root: Path, nights: list[Path]) -> None:
    world = World(root)
    follow(world, nights[0])
    held = str(root / nights[0].name)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, held], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == "held\n"
            follow(world, *nights[1:4])
            assert nights[0].name in on(root)
        finally:
            holder.kill()
    follow(world, nights[4])
    assert on(root) == names(nights[3:5])


def test_a_start_finds_its_bundle_however_often_the_champion_moves_meanwhile(
    root: Path, nights: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, starting = World(root), World(root)
    follow(running, nights[0])

    def slowly(path: Path, declaration: Declaration) -> Bundle:
        monkeypatch.setattr("serving.champion.Bundle", Bundle)
        follow(running, *nights[1:4])
        return Bundle.load(path, declaration)

    monkeypatch.setattr("serving.champion.Bundle", SimpleNamespace(load=slowly))
    starting.parts.champion.start_from_disk()
    assert serving(starting) == nights[0].name
    assert starting.telemetry.refused._value.get() == 0


def test_while_the_marker_names_another_bundle_all_stay(root: Path, nights: list[Path]) -> None:
    (root / MARKER).mkdir(parents=True)  # it cannot be written
    follow(World(root), *nights[:4])
    assert on(root) >= names(nights[:4])


def test_where_nothing_can_be_held_all_stay(
    root: Path, nights: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    follow(World(root), *nights[:4])
    assert on(root) == names(nights[:4])


def test_what_a_kill_left_half_deleted_goes_and_what_is_no_bundle_stays(
    root: Path, nights: list[Path]
) -> None:
    (root / f"{DROPPED}{nights[4].name}").mkdir(parents=True)
    (root / "elsewhere").mkdir()
    follow(World(root), nights[0])
    assert on(root) == {nights[0].name, "elsewhere"}
