"""The stages of one night: each leaves its result on disk, and a rerun begins after the last one.

A night is known by what it was made from: the offsets landed, the recipe, the declaration, and the
code. Anything else makes another night.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

import batch
import feature_store
import models
from batch.files import read_json, write_json
from batch.lake import Lake
from batch.progress import Progress
from batch.recipe import Recipe
from feature_store.declaration import Declaration
from feature_store.settings import Settings
from feature_store.topics import TOPICS

#: How many nights keep their files: enough to look at the last week.
NIGHTS_KEPT: Final = 7
#: A killed night is finished first if it is younger; what it cannot finish must not keep the log
#: from being landed.
STALE_MS: Final = 12 * 3_600_000
BEGUN, DONE = "begun", "done"

Facts = dict[str, Any]


@dataclass(frozen=True)
class Night:
    """The directory of one night; `progress` prints a line for each stage."""

    root: Path
    progress: Progress

    @property
    def key(self) -> str:
        """16 hex digits: what the night was made from."""
        return self.root.name

    @classmethod
    def of(
        cls, settings: Settings, declaration: Declaration, recipe: Recipe, progress: Progress
    ) -> Night:
        """The night of what is landed now."""
        lake = Lake(settings.lake)
        landed = {topic.name: _landed(lake, settings.topic(topic.name)) for topic in TOPICS}
        key = _digest([landed, settings.horizon_hours, made_by(declaration, recipe)])
        return cls(lake.root / "nights" / key, progress)

    @property
    def unfinished(self) -> bool:
        """It was begun not long ago and killed."""
        begun = self.said(BEGUN)
        if begun is None or self.said(DONE) is not None:
            return False
        return bool(time.time_ns() // 1_000_000 - begun["began_at"] < STALE_MS)

    @property
    def began_at(self) -> int:
        """When the night was begun, ms; a rerun of it keeps the time."""
        return int((self.said(BEGUN) or {})["began_at"])

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Opens the night, once; `facts` are what it begins with."""
        if self.said(BEGUN) is None:
            now = time.time_ns() // 1_000_000
            write_json(self.root / f"{BEGUN}.json", {"began_at": now, **facts})

    def stage(
        self, name: str, work: Callable[[list[str]], Facts], *, always: bool = False
    ) -> Facts:
        """The facts of a stage: from disk, or from `work`, which is given the line to print.

        A stage counts once its facts lie on disk, whole, and say of no store that it was `missed`.
        `always` is for one that is cheap and leaves things as they are when it is done twice.
        """
        before = self.said(name)
        with self.progress.stage(name) as line:
            if before is not None and not always and not before.get("missed"):
                line.append("done before")
                return before
            facts = work(line)
            write_json(self.root / f"{name}.json", facts)
            return facts

    def said(self, name: str) -> Facts | None:
        """The facts of a finished stage."""
        found: Facts | None = read_json(self.root / f"{name}.json")
        return found

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Closes the night, and forgets the files of old ones."""
        write_json(self.root / f"{DONE}.json", dict(facts))
        nights = sorted(self.root.parent.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in nights[:-NIGHTS_KEPT]:
            if old != self.root:
                shutil.rmtree(old)


def code_digest() -> str:
    """16 hex digits over the source of everything that makes a bundle."""
    found = hashlib.sha256()
    for package in (feature_store, models, batch):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*.py")):
            found.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return found.hexdigest()[:16]


def made_by(declaration: Declaration, recipe: Recipe) -> str:
    """What would make another bundle of the same data: recipe, declaration, code."""
    return _digest([asdict(recipe), declaration.fingerprint, code_digest()])


def _digest(said: Any) -> str:
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def _landed(lake: Lake, topic: str) -> list[Any]:
    landed = lake.landed(topic)
    incarnation = landed.batches[-1].topic_id if landed.batches else ""
    return [incarnation, sorted(landed.offsets.items())]
