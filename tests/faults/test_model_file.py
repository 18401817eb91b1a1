"""The model file fails: missing, damaged, unreadable, old, no room for it. The old one serves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest

from feature_store.settings import Settings
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAY_MS
from tests.faults.artefacts import Spoilt
from tests.faults.promotion import promoted, suffer
from tests.faults.shop import Shop, open_shop
from tests.integration.test_serving import NOBODY, list_for, serving, status, stock, wait_for
from tests.unit.serving.world import CUT, HISTORY, publish_bundle

LASTS_S: Final = 10.0
ROOT: Final = os.geteuid() == 0
#: The API without root's right to read and write everything: file modes count as for anybody else.
ORDINARY: Final = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--")
    if ROOT
    else ()
)
#: Room for a few bundles of the tests, which `full` takes away.
SHELF_KB: Final = 1_000

Inflict = Callable[[Shop, Path], AbstractContextManager[None]]


def published(spoil: Callable[[Path], None], cut: int = CUT) -> Inflict:
    """A third bundle is registered and promoted, spoilt after its hashes were taken."""

    @contextmanager
    def inflict(shop: Shop, where: Path) -> Iterator[None]:
        path = publish_bundle(where / "third", rows=HISTORY[:-3], cut=cut)
        spoil(path)
        shop.registry.promote(shop.registry.publish(path))
        yield
        shutil.rmtree(path)

    return inflict


def on_disk(spoil: Callable[[Path], None]) -> Inflict:
    """The second bundle lies on the shelf already, spoilt, and cannot be fetched again."""

    @contextmanager
    def inflict(shop: Shop, where: Path) -> Iterator[None]:
        second = shop.versions[1].bundle_id
        shutil.copytree(where / "made-2" / second, shop.shelf / second)
        spoil(shop.shelf / second)
        with promoted(shop, shop.artefacts.fault(Spoilt.GONE)):
            yield

    return inflict


def damage(path: Path) -> None:
    target = path / "popularity.npy"
    target.write_bytes(target.read_bytes()[:-1] + b"\x07")


def truncate(path: Path) -> None:
    os.truncate(path / "als_factors.npy", 100)


def remove(path: Path) -> None:
    (path / "ranker.txt").unlink()


def lock(path: Path) -> None:
    (path / "popularity.npy").chmod(0)


def replace(path: Path) -> None:
    """By a sound bundle that learned less."""
    older = publish_bundle(path.parents[1] / "older", rows=HISTORY[:-5], cut=CUT - DAY_MS)
    shutil.rmtree(path)
    older.rename(path)


def leave(_: Path) -> None:
    """As it is."""


def gone(shop: Shop, _: Path) -> AbstractContextManager[None]:
    """MLflow has the version, and not its files."""
    return promoted(shop, shop.artefacts.fault(Spoilt.GONE))


@contextmanager
def locked(shop: Shop, _: Path) -> Iterator[None]:
    """Nobody may write to the shelf."""
    shop.shelf.chmod(0o555)
    shop.registry.promote(shop.versions[1])
    yield
    shop.shelf.chmod(0o755)


@contextmanager
def full(shop: Shop, _: Path) -> Iterator[None]:
    """The file system of the shelf has no room for another bundle."""
    filler = shop.shelf / ".filler"
    with filler.open("wb") as file:
        room = os.statvfs(shop.shelf)
        file.write(bytes(room.f_bavail * room.f_frsize - 40_000))
    shop.registry.promote(shop.versions[1])
    yield
    filler.unlink()


#: What is done, and what the log and the status are to say of it.
ILLS: Final[dict[str, tuple[Inflict, str]]] = {
    "gone from MLflow": (gone, "did not come.*404"),
    "unreadable copy": (on_disk(lock), "Permission denied"),
    "published damaged": (published(damage), r"popularity\.npy .* not the file"),
    "published truncated": (published(truncate), r"als_factors\.npy .* not the file"),
    "published without a file": (published(remove), r"ranker\.txt is missing"),
    "older, as a new version": (published(leave, CUT - DAY_MS), "an old bundle again"),
    "truncated copy": (on_disk(truncate), r"als_factors\.npy .* not the file"),
    "copy without a file": (on_disk(remove), r"ranker\.txt is missing"),
    "copy replaced by an older one": (on_disk(replace), "holds bundle"),
    "shelf that is read only": (locked, "did not come.*Permission denied"),
}
FULL: Final = "did not come.*No space left"


@pytest.mark.trial
def test_a_model_file(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_shop(settings, tmp_path, ORDINARY) as shop:
        found = {name: bears(shop, name, *ill, LASTS_S, capsys) for name, ill in ILLS.items()}
    assert not {name: wrong for name, wrong in found.items() if wrong}


@pytest.mark.trial
@pytest.mark.skipif(not ROOT, reason="only root may mount a small file system")
def test_a_model_file_that_does_not_fit_on_the_disk(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.bundles.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", f"size={SHELF_KB}k", "tmpfs", str(settings.bundles)]
    subprocess.run(small, check=True)
    try:
        with open_shop(settings, tmp_path) as shop:
            assert bears(shop, "no space left", full, FULL, LASTS_S, capsys) == {}
    finally:
        subprocess.run(["umount", str(settings.bundles)], check=True)


@pytest.mark.parametrize("spoil", [truncate, lock])
def test_with_a_bad_bundle_alone_a_start_says_what_is_wrong_and_lists_what_sells(
    settings: Settings, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    bundle = publish_bundle(settings.bundles)
    spoil(bundle)
    store = RedisStore.connect(settings)
    stock(store, "ann")
    store.close()
    without = settings.model_copy(update={"mlflow": f"http://{NOBODY}", "cassandra": NOBODY})
    with serving(without, tmp_path / "log", under=ORDINARY) as http:
        wait_for(lambda: bool(list_for(http, "ann")["items"]))
        answer = list_for(http, "ann")
        assert answer["bundle"] is None
        assert "bundle" in answer["degraded"]
        assert status(http, "/health/live") == 200
        ready = http.get("/health/ready")
    assert ready.status_code == 503
    assert f"bundle {bundle.name} refused" in ready.json()["detail"]
    assert f'"bundle refused","bundle":"{bundle.name}"' in (tmp_path / "log").read_text()


def bears(
    shop: Shop,
    name: str,
    inflict: Inflict,
    says: str,
    seconds: float,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, int]:
    """What was wrong: answers, the status, or what was left; it ends when the log has said it."""
    before = len(shop.log.read_text())

    def logged() -> bool:
        lines = shop.log.read_text()[before:].splitlines()
        return any('"level":"warning"' in line and re.search(says, line) for line in lines)

    @contextmanager
    def until_logged() -> Iterator[None]:
        with inflict(shop, shop.log.parent):
            wait_for(logged)
            yield

    found = suffer(shop, f"model file, {name}", until_logged(), seconds, capsys)
    return found.wrong if found.said else found.wrong | {"not in the status": 1}
