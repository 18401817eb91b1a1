"""What Flink counts can be scraped, from where `millrace status` says."""

from __future__ import annotations

import time
from collections.abc import Iterator

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
from tests.scrape import OPERATOR, of_job, scrape_until


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
    job, some = of_job(hot), float.__bool__
    counted = {"accepted": 3, "applied": 1, "duplicates": 1, "late": 1, "store_down": 0}
    scrape_until(
        stack,
        "flink-taskmanager",
        {
            **{(f"{OPERATOR}millrace_{n}", job): float(v).__eq__ for n, v in counted.items()},
            **{
                (f"{OPERATOR}topic_reason_millrace_dead_lettered", job, f'topic="{topic}"'): some
                for topic in ("user_interactions", "item_metadata", "user_profile_updates")
            },
            **{
                (f"{OPERATOR}millrace_{name}", job): some
                for name in ("rows_written", "batch_rows_count", "write_ms", "freshness_ms")
            },
            (f"{OPERATOR}KafkaSourceReader_KafkaConsumer_records_lag_max", job): float(0).__le__,
            (f"{OPERATOR}millrace_store_waits", job): float(0).__le__,
        },
    )
    scrape_until(stack, "flink-jobmanager", {("flink_jobmanager_job_uptime", job): some})
