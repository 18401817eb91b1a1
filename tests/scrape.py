"""Reads what Flink counts, as Prometheus would."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from infra.stack.stack import Stack

#: Before the name of a metric of an operator.
OPERATOR: Final = "flink_taskmanager_job_task_operator_"


def scrape(stack: Stack, service: str) -> str:
    """The metrics page of a service, from the address in its report."""
    (at,) = (report.metrics for report in stack.status() if report.name == service)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(at, timeout=10) as answer:
        return str(answer.read().decode())


def reads(page: str, name: str, *labels: str) -> float | None:
    """The sum of a metric over the lines that have all labels; None where there is no such line."""
    lines = [line for line in page.splitlines() if line.startswith(f"{name}{{")]
    found = [float(line.split()[-1]) for line in lines if all(label in line for label in labels)]
    return sum(found) if found else None


def scrape_until(
    stack: Stack, service: str, wanted: Mapping[tuple[str, ...], Callable[[float], bool]]
) -> None:
    """Scrapes until every (metric, label …) reads as it should."""
    deadline, wrong = time.monotonic() + 60, {}
    while time.monotonic() < deadline:
        page = scrape(stack, service)
        read = {metric: reads(page, *metric) for metric in wanted}
        wrong = {m: value for m, value in read.items() if value is None or not wanted[m](value)}
        if not wrong:
            return
        time.sleep(0.5)
    pytest.fail(f"{service} reads {wrong}")


def of_job(title: str) -> str:
    """The label of a job's metrics."""
    return f'job_name="{title.replace("-", "_")}"'


def restarts(stack: Stack, title: str) -> int:
    """How often Flink has restarted a running job since it was submitted.

    As the job manager counts: its REST API answers with what it fetched some time before.
    """
    deadline = time.monotonic() + 30  # a job manager that came back has to find its jobs first
    while time.monotonic() < deadline:
        page = scrape(stack, "flink-jobmanager")
        counted = reads(page, "flink_jobmanager_job_numRestarts", of_job(title))
        if counted is not None:
            return int(counted)
        time.sleep(0.5)
    pytest.fail(f"no job is called {title}")


def wait_for_stores(stack: Stack, namespace: str, **down: bool) -> None:
    """Scrapes until each deployment says whether its store is down."""
    telling = {False: (0.0).__eq__, True: (0.0).__lt__}
    scrape_until(
        stack,
        "flink-taskmanager",
        {
            (f"{OPERATOR}millrace_store_down", of_job(f"{namespace}-{name}")): telling[is_down]
            for name, is_down in down.items()
        },
    )
