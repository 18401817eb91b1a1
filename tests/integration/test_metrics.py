"""What Flink counts can be scraped, from where `millrace status` says."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping

import orjson
import pytest

from feature_store.settings import Settings
from feature_store.topics import INTERACTIONS, ITEMS, PROFILES
from infra.stack.jobs import cancel
from infra.stack.stack import Stack
from infra.stack.streaming import deploy
from infra.traffic.message import Message
from infra.traffic.producer import Sender
from tests.builders import view


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
        time.sleep(1)
    pytest.fail(f"{service} reads {wrong}")


@pytest.fixture
def hot(stack: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running hot job; yields its title."""
    monkeypatch.setenv("MILLRACE_NAMESPACE", settings.namespace)
    deploy(stack, "hot")
    title = f"{settings.namespace}-hot"
    yield title
    cancel(stack, title)


def test_a_running_job_is_scraped_from_both_halves_of_the_cluster(
    stack: Stack, settings: Settings, hot: str
) -> None:
    now, horizon_ms = time.time_ns() // 1_000_000, stack.settings().horizon_ms
    seen, late = view("ann", "milk", at=now), view("ann", "tea", at=now - horizon_ms - 1)
    bodies = [orjson.dumps(sent.body) for sent in (seen, seen, late)]
    with Sender(settings) as sender:
        sender.send_all(Message(INTERACTIONS.name, b"ann", body, now) for body in bodies)
        for topic in (INTERACTIONS, ITEMS, PROFILES):
            sender.send_all([Message(topic.name, b"broken", b"{broken", now)])
    job = f'job_name="{hot.replace("-", "_")}"'
    operator, some = "flink_taskmanager_job_task_operator_", float.__bool__
    counted = {"accepted": 3, "applied": 1, "duplicates": 1, "late": 1, "store_down": 0}
    scrape_until(
        stack,
        "flink-taskmanager",
        {
            **{(f"{operator}millrace_{n}", job): float(v).__eq__ for n, v in counted.items()},
            **{
                (f"{operator}topic_reason_millrace_dead_lettered", job, f'topic="{topic}"'): some
                for topic in ("user_interactions", "item_metadata", "user_profile_updates")
            },
            **{
                (f"{operator}millrace_{name}", job): some
                for name in ("rows_written", "batch_rows_count", "write_ms", "freshness_ms")
            },
            (f"{operator}KafkaSourceReader_KafkaConsumer_records_lag_max", job): float(0).__le__,
            (f"{operator}millrace_store_waits", job): float(0).__le__,
        },
    )
    scrape_until(stack, "flink-jobmanager", {("flink_jobmanager_job_uptime", job): some})
