"""The clock of one request: how long each step took, for its answer and for the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from serving.telemetry import Telemetry


class Steps:
    """Times the steps of one request, for its answer and for the metrics; `ms` by step."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self.ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Times one step."""
        started = perf_counter()
        try:
            yield
        finally:
            took = perf_counter() - started
            self._telemetry.steps.labels(name).observe(took)
            self.ms[name] = round(took * 1_000, 3)
