"""Publishing: a bundle goes into the registry, and through the gate to `@champion`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from batch.gate import Verdict, judge
from batch.lake import Lake
from batch.learn import Lesson, Teacher
from batch.recipe import Recipe
from feature_store.events import WEIGHTS
from feature_store.settings import Settings
from feature_store.topics import TOPICS
from models import bundle
from models.registry import Registry, Version


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a bundle: its version, and who is champion now."""

    version: Version
    champion: Version | None
    verdict: Verdict


def write_bundle(settings: Settings, lake: Lake, teacher: Teacher, lesson: Lesson) -> Path:
    """Writes the night's bundle, with the rules and offsets it is from, where nobody serves it.

    Only the gate makes a champion, and serving fetches that from the registry.
    """
    topics = [settings.topic(topic.name) for topic in TOPICS]
    return bundle.write(
        settings.bundles / ".candidates",
        teacher.declaration,
        lesson.everything,
        teacher.history.items.catalogue,
        lesson.ranker,
        {**_params(teacher.recipe), "event_weights": WEIGHTS},
        {topic: lake.landed(topic).offsets for topic in topics},
    )


def publish(
    registry: Registry, path: Path, recipe: Recipe, lesson: Lesson, canary: str | None
) -> Published:
    """Registers the bundle and promotes it if the gate lets it pass.

    A bundle that is the champion already (the same night run twice) is not registered again.
    """
    measures, ranker = lesson.measures, lesson.ranker
    champion = registry.champion()
    if champion and champion.bundle_id == path.name:
        return Published(champion, champion, Verdict(()))
    verdict = judge(measures, champion.metrics if champion else None, canary)
    reports: dict[str, Mapping[str, Any]] = {
        "measures.json": measures.report() if measures else {},
        "importance.json": ranker.importance() if ranker else {},
        "verdict.json": {"passed": verdict.passed, "reasons": verdict.reasons},
    }
    metrics = measures.flat() if measures else {}
    version = registry.publish(path, _params(recipe), metrics, reports)
    if verdict.passed:
        registry.promote(version)
        champion = version
    return Published(version, champion, verdict)


def _params(recipe: Recipe) -> dict[str, Any]:
    said = asdict(recipe)
    als = said.pop("als")
    return {**said, **{f"als_{name}": value for name, value in als.items()}}
