"""A night that is killed again and again while it lands: every acknowledged offset counts once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from batch.lake import Lake
from batch.manifest import Landed
from feature_store.settings import Settings
from feature_store.topics import INTERACTIONS
from infra.stack.home import REPOSITORY
from infra.stack.jars import jars
from infra.traffic.message import Message
from infra.traffic.producer import Sender
from tests.builders import DAY, view

KILLS, MESSAGES = 10, 2_000
SEED = int(os.environ.get("MILLRACE_SEED", time.time()))
NOW = time.time_ns() // 1_000_000


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """`spark-submit batch/nightly.py --recount-only` in a process group of its own."""
    said = {f"MILLRACE_{k.upper()}": str(v) for k, v in settings.model_dump().items()}
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    command = [
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", "local[2]", "--driver-memory", "1g"),
        *("--jars", ",".join(map(str, jars("spark")))),
        *(str(REPOSITORY / "batch" / "nightly.py"), "--recount-only"),
    ]
    environment = {**os.environ, **said, **python, "SPARK_LOCAL_IP": "127.0.0.1"}
    return subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )


def send(settings: Settings, number: int) -> None:
    with Sender(settings) as sender:
        for n in range(number):
            sent = view(f"u{n % 99}", "tea", at=NOW - n % 9 * DAY)
            body = orjson.dumps(sent.body)
            sender.send(Message(INTERACTIONS.name, f"u{n % 99}".encode(), body, 0))


def positions(landed: Landed) -> list[tuple[int, int]]:
    """(partition, offset) of every row that counts."""
    tables = [pq.read_table(landed.path(f), columns=["partition", "offset"]) for f in landed.files]
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted((row["partition"], row["offset"]) for row in rows)


@pytest.mark.trial
def test_a_landing_killed_at_random_moments_lands_each_offset_once(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, topic, killed = random.Random(SEED), settings.topic(INTERACTIONS.name), 0
    send(settings, MESSAGES)
    begun = time.monotonic()
    assert start(settings).wait() == 0
    whole_s = time.monotonic() - begun
    for _ in range(KILLS):
        send(settings, MESSAGES)
        night = start(settings)
        try:
            night.wait(rng.uniform(0.2, 1.0) * whole_s)
        except subprocess.TimeoutExpired:
            os.killpg(night.pid, signal.SIGKILL)
            killed += 1
            assert night.wait() == -signal.SIGKILL
        found = positions(Lake(settings.lake).landed(topic))
        assert len(found) == len({*found}) == Lake(settings.lake).landed(topic).rows
    assert start(settings).wait() == 0
    landed = Lake(settings.lake).landed(topic)
    expected = [(int(p), n) for p, until in landed.offsets.items() for n in range(until)]
    assert killed
    assert positions(landed) == sorted(expected)
    assert len(expected) == MESSAGES * (KILLS + 1)
    told = {"trial": "landing killed", "seed": SEED, "kills": killed, "rows": landed.rows}
    with capsys.disabled():
        print(f"\n{orjson.dumps(told).decode()}", flush=True)
