"""What Flink counts can be scraped, from where `millrace status` says."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator

import pytest

from feature_store.settings import Settings
from infra.stack.jobs import cancel
from infra.stack.stack import Stack
from infra.stack.streaming import deploy


def scrape(stack: Stack, service: str) -> str:
    """The metrics page of a service, from the address in its report."""
    (at,) = (report.metrics for report in stack.status() if report.name == service)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(at, timeout=10) as answer:
        return str(answer.read().decode())


def scrape_until(stack: Stack, service: str, *wanted: str) -> None:
    """Scrapes until some line holds all that is wanted."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(all(one in line for one in wanted) for line in scrape(stack, service).splitlines()):
            return
        time.sleep(1)
    pytest.fail(f"{service} shows no line with {' and '.join(wanted)}")


@pytest.fixture
def hot(stack: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running hot job; yields its title."""
    monkeypatch.setenv("MILLRACE_NAMESPACE", settings.namespace)
    deploy(stack, "hot")
    yield f"{settings.namespace}-hot"
    cancel(stack, "hot")


def test_a_running_job_is_scraped_from_both_halves_of_the_cluster(stack: Stack, hot: str) -> None:
    scrape_until(stack, "flink-jobmanager", "flink_jobmanager_job_uptime", hot.replace("-", "_"))
    for counted in ("numRecordsIn", "operator_millrace_applied"):
        name = f"flink_taskmanager_job_task_{counted}"
        scrape_until(stack, "flink-taskmanager", name, hot.replace("-", "_"))
