"""One trial: the stack with its supervisor, topics of its own, and jobs that this trial submits."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from feature_store import declaration
from feature_store.settings import Settings
from infra.stack.stack import Stack
from infra.stack.topics import ensure_topics
from tests.faults.trial import Trial, cancel_jobs


@pytest.fixture
def trial(
    stack: Stack, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Iterator[Trial]:
    """An empty namespace. The jobs of earlier tests are cancelled: a trial has the cluster alone.

    The supervisor is started anew, so that what it resubmits is of this namespace.
    """
    stack.down(["supervisor"])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MILLRACE_NAMESPACE", f"f{secrets.token_hex(6)}")
        for name, value in stack.environment().items():
            environment.setenv(name, value)
        settings = Settings()
        ensure_topics(settings)
        stack.up(["kafka", "redis", "cassandra", "flink-jobmanager", "flink-taskmanager"])
        cancel_jobs(stack)
        stack.up(["supervisor"])
        features = declaration.load(settings.features)
        long = request.node.get_closest_marker("trial") is not None
        yield Trial(stack, settings, features, long, capsys)
        stack.down(["supervisor"])
        cancel_jobs(stack)
