"""One run of the lambda for all tests of this folder: it takes minutes, so it is made once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from feature_store import declaration
from feature_store.declaration import Declaration
from feature_store.reference import Fold, Message, fold
from feature_store.settings import Settings
from infra.drain import drain, end_offsets
from infra.stack.http import call_json
from infra.stack.spark import NIGHTLY, spark_submit
from infra.stack.stack import Stack
from infra.stack.streaming import deploy
from infra.traffic.faults import Faults
from infra.traffic.simulation import SimulationReport, made_up_world, simulate_past
from tests.collector import Collector, collecting
from tests.kafka_log import read_log
from tests.scrape import restarts

EVENTS, DAYS = 12_000, 21.0
DEPLOYMENTS = ("hot", "kept")


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that has streamed some traffic, recounted it and published a champion."""

    stack: Stack
    settings: Settings
    features: Declaration
    sent: SimulationReport
    environment: Mapping[str, str]

    def log(self) -> list[Message]:
        """Every interaction message in Kafka, in the order of arrival."""
        return read_log(self.settings, "user-interactions")

    def folded(self) -> Fold:
        """The log by the reference engine."""
        return fold(self.features, self.log(), self.settings.horizon_ms)

    def drain(self, *deployments: str) -> None:
        """Waits until the deployments have written everything sent so far."""
        until = end_offsets(self.settings)
        for deployment in deployments or DEPLOYMENTS:
            drain(self.stack, self.settings, deployment, until)

    def restarts(self, deployment: str) -> int:
        """How often the job began again."""
        return restarts(self.stack, f"{self.settings.namespace}-{deployment}")


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the pipeline's traces go."""
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="session")
def pipeline(stack: Stack, collector: Collector) -> Pipeline:
    """Simulated traffic, 1 % of it bad and 5 % sent twice, through every part once."""
    said = {
        **stack.environment(),
        "MILLRACE_NAMESPACE": f"e2e{time.time_ns() // 1_000_000:x}",
        "MILLRACE_TRACES": collector.url,
    }
    with _environment(said):
        settings = Settings()
        world = made_up_world(users=300, items=400, seed=11)
        now = time.time_ns() // 1_000_000
        faults = Faults(bad=0.01, duplicates=0.05, seed=11)
        sent = simulate_past(settings, world, EVENTS, DAYS, now, seed=11, faults=faults)
        for deployment in DEPLOYMENTS:
            deploy(stack, deployment)
        ready = Pipeline(stack, settings, declaration.load(settings.features), sent, said)
        ready.drain()
        spark_submit(stack, NIGHTLY)
        stack.up(["serving"])
    return ready


@pytest.fixture(scope="session")
def api(pipeline: Pipeline) -> str:
    """Where the API answers, with the champion in memory and every item read."""
    url = pipeline.stack.environment()["MILLRACE_SERVING"]
    published = json.loads((pipeline.settings.lake / "nightly.json").read_text())
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = call_json(f"{url}/api/recommendations/nobody?limit=1")
        if answer["bundle"] == published["champion_bundle"] and not answer["degraded"]:
            return url
        time.sleep(0.5)
    pytest.fail(f"serving did not load bundle {published['champion_bundle']} within 60 s")


@pytest.fixture(autouse=True)
def in_its_environment(pipeline: Pipeline) -> Iterator[None]:
    """A test of this folder, and no other, works in the pipeline's namespace."""
    with _environment(pipeline.environment):
        yield


@contextmanager
def _environment(said: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in said.items():
            environment.setenv(name, value)
        yield
