"""The bundles on this machine's disk: which one serves, which served before, and which may go.

Processes share the directory. A marker in it names the champion, and each process holds the bundle
it serves, so that none is taken away while it is used or about to be.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feature_store.locks import alone
from models.bundle import BundleRefused
from models.manifest import Manifest
from models.registry import BUNDLE_ID

#: Names the bundle that served last, so that a restart without MLflow serves it again; its version,
#: and up to when it learned (ms), so that no older one comes back after a restart; on a second
#: line the bundle before it, which a rollback wants.
MARKER: Final = "serving-champion"
#: A bundle that is being deleted: a kill leaves no half of one under its name.
DROPPED: Final = ".dropped-"


@dataclass(frozen=True, slots=True)
class Followed:
    """The version that was followed last, and up to when its bundle learned (ms)."""

    number: str
    cut_ms: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What the marker says: bundle ids, "" for none, and a version where one is known."""

    bundle: str = ""
    followed: Followed | None = None
    before: str = ""


class Copies:
    """The directory; it need not be there yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def mark(self) -> Mark:
        """What the marker says; one that cannot be read says nothing."""
        try:
            now, _, before = (self.root / MARKER).read_text().partition("\n")
            bundle, *version = now.split()
            followed = Followed(version[0], int(version[1])) if version else None
        except (OSError, ValueError, IndexError):
            return Mark()
        return Mark(bundle, followed, before.strip())

    def note(self, bundle: str, followed: Followed | None) -> None:
        """Writes the marker, whole: another process may be reading it. Raises `OSError`."""
        mark = self.mark()
        said = [bundle, followed.number, str(followed.cut_ms)] if followed else [bundle]
        before = mark.before if bundle == mark.bundle else mark.bundle
        draft = self.root / f".{MARKER}-{os.getpid()}"
        draft.write_text(f"{' '.join(said)}\n{before}")
        draft.replace(self.root / MARKER)

    def best_first(self) -> list[Path]:
        """What may be a bundle: the marked one, then the newest first. Raises `OSError`."""
        last = self.mark().bundle
        found = [*self.root.iterdir()] if self.root.is_dir() else []
        paths = [path for path in found if path.is_dir() and not path.name.startswith(".")]
        return sorted(paths, key=lambda path: (path.name == last, _made_at(path)), reverse=True)

    def prune(self, serves: str) -> list[str]:
        """Drops what neither serves nor served before, and no process holds: the ids.

        Only while the marker names the bundle that serves: a start then looks for no other. The
        caller holds the directory, so nobody fetches or deletes meanwhile. Raises `OSError`.
        """
        mark = self.mark()
        if mark.bundle != serves:
            return []
        for left in self.root.glob(f"{DROPPED}*"):
            shutil.rmtree(left, ignore_errors=True)
        bundles = [path for path in self.root.iterdir() if BUNDLE_ID.fullmatch(path.name)]
        old = [path for path in bundles if path.name not in (serves, mark.before)]
        return [path.name for path in old if self._drop(path)]

    def _drop(self, path: Path) -> bool:
        """Whether nobody held it."""
        with alone(path, wait=False, in_doubt=False) as unused:
            if unused:
                gone = path.rename(self.root / f"{DROPPED}{path.name}")
                shutil.rmtree(gone, ignore_errors=True)
        return unused


def _made_at(path: Path) -> int:
    try:
        return Manifest.read(path).created_at
    except BundleRefused:
        return 0
