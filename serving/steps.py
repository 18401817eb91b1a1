"""The clock of one request: how long each step took, for its answer and for the metrics."""

from __future__ import annotations

from time import perf_counter

from serving.telemetry import Telemetry


class Steps:
    """Times the steps of one request; `ms` by step, for its answer."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self.ms: dict[str, float] = {}

    def __call__(self, name: str) -> Step:
        """Times one step."""
        return Step(self, name)

    def took(self, name: str, seconds: float) -> None:
        """Notes that a step took so long."""
        self._telemetry.step[name].observe(seconds)
        self.ms[name] = round(seconds * 1_000, 3)


class Step:
    """One step, while it lasts; a class, because a generator costs three times as much."""

    __slots__ = ("_began", "_name", "_steps")

    def __init__(self, steps: Steps, name: str) -> None:
        self._steps = steps
        self._name = name

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._steps.took(self._name, perf_counter() - self._began)
