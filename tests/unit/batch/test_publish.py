"""A rerun of a night promotes what passed, but never what a person took back since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from batch.gate import Verdict
from batch.publish import Published, publish
from models.registry import NIGHT, ROLLED_BACK, Registry, Version
from models.tracking import Record

PASSED, REFUSED = Verdict(()), Verdict(("worse than version 1",))
VERSION_1 = Version("1", "a" * 16, "run", {})


class Shelf:
    """What `publish` asks of the registry."""

    def __init__(self) -> None:
        self.registered = [VERSION_1]
        self.served = VERSION_1

    def champion(self) -> Version:
        return self.served

    def of_night(self, night: str) -> Version | None:
        return next((v for v in self.registered if v.tags.get(NIGHT) == night), None)

    def publish(
        self, path: Path, record: Record, tags: Mapping[str, str], measured: Path
    ) -> Version:
        made = Version(str(len(self.registered) + 1), path.name, "run", {}, dict(tags))
        self.registered.append(made)
        return made

    def tag(self, version: Version, said: Mapping[str, str]) -> None:
        number = int(version.version) - 1
        self.registered[number] = replace(version, tags={**version.tags, **said})

    def challenge(self, version: Version) -> None: ...

    def promote(self, version: Version) -> None:
        self.served = version


def published(shelf: Shelf, verdict: Verdict = PASSED) -> Published:
    path, describe = Path("b" * 16), cast("Callable[[], Record]", Record)
    return publish(cast("Registry", shelf), "night", path, path, verdict, describe)


def test_what_passed_is_promoted_and_what_was_refused_is_only_registered() -> None:
    shelf = Shelf()
    assert published(shelf, REFUSED).champion == VERSION_1
    assert shelf.registered[1].tags["gate"] == "refused"
    assert published(shelf).version.version == "2"
    assert shelf.served.version == "2"


def test_what_was_rolled_back_is_not_promoted_by_a_rerun_of_its_night() -> None:
    shelf = Shelf()
    published(shelf)
    shelf.tag(shelf.registered[1], {ROLLED_BACK: "1"})
    shelf.served = VERSION_1
    again = published(shelf)
    assert shelf.served == again.champion == VERSION_1
    assert "rolled back" in shelf.registered[1].tags["gate_reasons"]
    assert "rolled back" in again.verdict.reasons[0]
