"""What the status page shows: which parts answer, how fresh things are, what waits for somebody."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import Counter, Histogram
from pydantic import Field

from serving.answers import Answer
from serving.parts import Parts
from serving.telemetry import Telemetry

#: Lists are published every second or so; older ones mean that the stream stands still.
FRESH_MS = 15_000


class PartStatus(Answer):
    """One part this process depends on."""

    name: str = Field(examples=["redis"])
    state: str = Field(description="`up`, `out` or `unknown`.", examples=["up"])
    detail: str = ""


class DeadLetterCount(Answer):
    """Messages that could not be applied."""

    topic: str
    messages: int | None = Field(description="null until Kafka has answered once")


class StatusAnswer(Answer):
    """The state of one API process and of what it depends on."""

    parts: list[PartStatus]
    bundle: str | None
    bundle_made_at: int | None
    trending_published_at: int | None
    answers: int = Field(description="Lists answered by this process.")
    answers_degraded: int = Field(description="Those of them that lacked a part or more.")
    feature_age_ms: int | None = Field(
        description="Age of the newest interaction that the last list knew of; null for none yet."
    )
    dead_letters: list[DeadLetterCount]
    links: dict[str, str]


def status_of(parts: Parts) -> StatusAnswer:
    """The state as of now, from memory: asking for it asks nobody."""
    live = parts.champion.live
    return StatusAnswer(
        parts=list(_parts(parts)),
        bundle=live.bundle.id if live else None,
        bundle_made_at=live.bundle.manifest.created_at if live else None,
        trending_published_at=_published_at(parts),
        answers=_total(parts.telemetry.steps, "_count", step="answer"),
        answers_degraded=_total(parts.telemetry.lists_degraded, "_total"),
        feature_age_ms=_feature_age(parts.telemetry),
        dead_letters=[
            DeadLetterCount(topic=topic, messages=count)
            for topic, count in parts.dead_letters.counts.items()
        ],
        links=parts.rules.links,
    )


def _parts(parts: Parts) -> Iterator[PartStatus]:
    for name, out in parts.outside.stores.out.items():
        yield PartStatus(name=name, state="out" if out else "up")
    yield _said("kafka", parts.dead_letters.known)
    if parts.needs("trending"):
        yield _stream(_published_at(parts))
    if parts.needs("champion"):
        yield _said("mlflow", parts.champion.registry_answers)
        state = "up" if parts.champion.live else "out"
        yield PartStatus(name="model", state=state, detail=parts.champion.reason)


def _said(name: str, answers: bool | None) -> PartStatus:
    return PartStatus(name=name, state="unknown" if answers is None else "up" if answers else "out")


def _stream(published_at: int | None) -> PartStatus:
    if published_at is None:
        return PartStatus(name="stream", state="unknown", detail="no trending list yet")
    fresh = time.time_ns() // 1_000_000 - published_at < FRESH_MS
    detail = "" if fresh else "its trending lists are old: `millrace stream status`"
    return PartStatus(name="stream", state="up" if fresh else "out", detail=detail)


def _published_at(parts: Parts) -> int | None:
    published = parts.trending.published("5m")
    return published.published_at if published else None


def _feature_age(telemetry: Telemetry) -> int | None:
    seconds = telemetry.registry.get_sample_value("millrace_serving_last_feature_age_seconds")
    known = _total(telemetry.feature_age, "_count")
    return round(seconds * 1_000) if known and seconds is not None else None


def _total(metric: Counter | Histogram, kind: str, **labels: str) -> int:
    """The sum of a metric's samples of one kind, by the end of their name, with these labels."""
    samples = (s for family in metric.collect() for s in family.samples if s.name.endswith(kind))
    return int(sum(s.value for s in samples if labels.items() <= s.labels.items()))
