"""The catalogue of metrics: every name the API exposes, what it counts, and by which labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from serving.scrape import together

M = TypeVar("M", Counter, Histogram)

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
AGES = (0.25, 0.5, 1, 2, 5, 30, 300, 3_600, 86_400, 604_800)


class Children(dict[str, M], Generic[M]):
    """The children of a metric with one label, by its value: `labels()` locks each time."""

    def __init__(self, metric: M) -> None:
        super().__init__()
        self._metric: M = metric

    def __missing__(self, value: str) -> M:
        child: M = self._metric.labels(value)
        self[value] = child
        return child


class Telemetry:
    """One registry a process; passed to the parts that count something."""

    def __init__(self, shared: Path | None = None) -> None:
        """`shared` is where the processes of one port keep their counts, if there are several."""
        self.shared = shared
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        self.registry = registry = CollectorRegistry()
        prefix = "millrace_serving"
        self.requests = Counter(
            f"{prefix}_requests", "Answers.", ["route", "method", "status"], registry=registry
        )
        self.seconds = Histogram(
            f"{prefix}_request_seconds", "Time to answer.", ["route"],
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.steps = Histogram(
            f"{prefix}_step_seconds", "Time of each step of a recommendation.", ["step"],
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.offered = Counter(
            f"{prefix}_items_offered", "Items answered, by source.", ["source"], registry=registry
        )
        self.step, self.source = Children(self.steps), Children(self.offered)
        self.degraded = Counter(
            f"{prefix}_degraded", "Lists that lacked this part.", ["part"], registry=registry
        )
        self.lists_degraded = Counter(
            f"{prefix}_lists_degraded", "Lists that lacked a part or more.", registry=registry
        )
        self.failures = Counter(
            f"{prefix}_dependency_failures", "Failed calls.", ["dependency"], registry=registry
        )
        self.damaged = Counter(
            f"{prefix}_damaged", "Values in a store that are not what is kept there.", ["kind"],
            registry=registry,
        )  # fmt: skip
        self.results = Counter(
            f"{prefix}_results", "Lists asked for, by what the result cache did.", ["fate"],
            registry=registry,
        )  # fmt: skip
        self.bulkhead_full = Counter(
            f"{prefix}_bulkhead_full", "Calls not made: too many wait already.", ["dependency"],
            registry=registry,
        )  # fmt: skip
        self.dependency_seconds = Histogram(
            f"{prefix}_dependency_seconds", "Time of a call, answered or not.", ["dependency"],
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.dependency_out = Gauge(
            f"{prefix}_dependency_out", "1 while it is left alone, or not there yet.",
            ["dependency", "use"], registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self.interactions = Counter(
            f"{prefix}_messages", "Messages for Kafka, by fate.", ["topic", "fate"],
            registry=registry,
        )  # fmt: skip
        self.turned_away = Counter(
            f"{prefix}_turned_away",
            "Requests refused: overload, quota, key (none or wrong), scope (not its to do).",
            ["reason"], registry=registry,
        )  # fmt: skip
        self.feature_age = Histogram(
            f"{prefix}_feature_age_seconds", "Age of the newest interaction used.",
            buckets=AGES, registry=registry,
        )  # fmt: skip
        self.last_feature_age = Gauge(
            f"{prefix}_last_feature_age_seconds", "The same of the last list.",
            registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.not_finite = Counter(
            f"{prefix}_scores_not_finite", "NaN or infinite scores replaced.", registry=registry
        )
        self.bundle = Gauge(
            f"{prefix}_bundle", "Processes that serve it; 0 for one that served before.",
            ["bundle"], registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self.compiled = Gauge(
            f"{prefix}_ranker_compiled", "Whether the kernel ranks; LightGBM is slower.",
            registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self.bundle_cut = Gauge(
            f"{prefix}_bundle_cut_seconds", "Epoch time up to which its bundle learned.",
            registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self.queued = Gauge(
            f"{prefix}_queued", "Messages that wait to be sent.", ["queue"],
            registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self.refused = Counter(
            f"{prefix}_bundles_refused", "Bundles that were not loaded.", registry=registry
        )
        self.awaited = Gauge(
            f"{prefix}_champion_awaited", "1 while @champion names a bundle that does not serve.",
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self.background = Counter(
            f"{prefix}_background_failures", "Failed turns of a background task.", ["task"],
            registry=registry,
        )  # fmt: skip

    def watch(self, gauge: Gauge, value: Callable[[], float]) -> None:
        """Has a gauge follow a value: asked at each scrape, or at each `turn` where several share.

        Then any of them is scraped, and none can ask what another one knows.
        """
        if self.shared is None:
            gauge.set_function(value)
        else:
            self._watched.append((gauge, value))

    def turn(self) -> None:
        """Sets the gauges that follow a value, for whichever process is scraped next."""
        for gauge, value in self._watched:
            gauge.set(value())

    def exposition(self) -> bytes:
        """What Prometheus scrapes: of this process, or of all that share its port."""
        return generate_latest(together(self.shared) if self.shared else self.registry)
