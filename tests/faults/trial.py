"""What every trial does: submits a job, waits for it, judges its store, prints one JSON line."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from feature_store.declaration import Declaration
from feature_store.reference import Message
from feature_store.settings import Settings
from feature_store.stores.base import Store, StoreUnavailable
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.topics import INTERACTIONS
from feature_store.trending import EVERYWHERE
from infra.drain import drain, end_offsets
from infra.stack.errors import StackError
from infra.stack.http import call_json
from infra.stack.jobs import cancel, jobs, require_live, savepoint
from infra.stack.stack import Stack
from infra.stack.streaming import deploy
from tests.faults.cluster import PATIENCE_S
from tests.faults.load import Position, Witness, view
from tests.faults.oracle import Verdict, judge
from tests.kafka_log import read_log
from tests.scrape import restarts

#: Of everything random in a trial.
SEED = 7
#: What the long forms promise: the least and the most that a figure may be (`docs/trials.md`).
LIMITS: Final = {
    "running_again_s": (0, 60),
    "lag_0_after_s": (0, 90),
    "exact_again_s": (0, 60),
    "good_to_clean": (0.9, math.inf),
    "catch_up_to_arrival": (2, math.inf),
    "trending_after_s": (0, 5),
}
STORES: dict[str, Callable[[Settings], Store]] = {
    "hot": RedisStore.connect,
    "kept": CassandraStore.connect,
}


@dataclass
class Trial:
    """One namespace of a stack, and what a trial does with it."""

    stack: Stack
    settings: Settings
    features: Declaration
    long: bool
    _capsys: pytest.CaptureFixture[str]
    _probes: int = field(default=0)

    def deploy(self, *deployments: str, start_from: Path | None = None) -> None:
        """Submits the jobs and waits until each runs."""
        for deployment in deployments:
            deploy(self.stack, deployment, start_from)
            self.wait_for(lambda name=deployment: self._runs(name), f"{deployment} to run")

    def stop(self, deployment: str) -> Path:
        """Drains and cancels a job; returns the savepoint from which it may go on."""
        self.drain(deployment)
        where = savepoint(self.stack, deployment)
        cancel(self.stack, deployment)
        return where

    def drain(self, *deployments: str) -> float:
        """Waits until the jobs have written everything sent so far; returns the seconds."""
        begun = time.monotonic()
        until = end_offsets(self.settings)
        for deployment in deployments:
            self.wait_for(lambda name=deployment: self._drained(name, until), "the log's end")
        return time.monotonic() - begun

    def probe(self, witness: Witness) -> float:
        """Sends one view and waits until Redis knows it; returns the seconds."""
        begun = time.monotonic()
        self._probes += 1
        name = f"probe-{self._probes}"
        sent = view(name, name, at=time.time_ns() // 1_000_000)
        witness.send(sent.key, sent.value)
        self.wait_for(lambda: self.knows(name), f"{name} in Redis")
        return time.monotonic() - begun

    def knows(self, actor: str) -> bool:
        """Whether Redis has something of the actor; False while it does not answer."""
        store = RedisStore.connect(self.settings, timeout_s=1.0)
        try:
            return bool(store.read_user(actor).recents)
        except StoreUnavailable:
            return False
        finally:
            store.close()

    def trends(self, item: str) -> bool:
        """Whether the item is in the list of the last five minutes."""
        store = RedisStore.connect(self.settings)
        try:
            listed = store.read_trending("5m")
            top = listed.segments.get(EVERYWHERE, ()) if listed else ()
            return item in {name for name, _ in top}
        finally:
            store.close()

    def judge(self, deployment: str, acknowledged: Mapping[Position, bytes | None]) -> Verdict:
        """The drained store of a job beside the recount of the log."""
        store = STORES[deployment](self.settings)
        try:
            horizon = self.settings.horizon_ms
            return judge(store, self.log(), acknowledged, self.features, horizon)
        finally:
            store.close()

    def log(self) -> list[Message]:
        """Every interaction message in Kafka."""
        return read_log(self.settings, INTERACTIONS.name)

    def dead_letters(self) -> list[dict[str, object]]:
        """Every dead letter of an interaction."""
        letters = read_log(self.settings, INTERACTIONS.dead_letter)
        return [orjson.loads(letter.value or b"{}") for letter in letters]

    def restarts(self, deployment: str) -> int:
        """How often Flink has restarted the job since it was submitted."""
        return restarts(self.stack, f"{self.settings.namespace}-{deployment}")

    def wait_for(self, true: Callable[[], bool], what: str) -> float:
        """Asks until it is true; fails after `PATIENCE_S`; returns the seconds."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_S:
            if true():
                return time.monotonic() - begun
            time.sleep(0.05)
        pytest.fail(f"waited {PATIENCE_S} s for {what}")

    def report(self, name: str, **figures: object) -> None:
        """Prints the trial's one line, whatever pytest captures; a long form keeps the limits."""
        said = {"trial": name, "seed": SEED, "flink": version("apache-flink"), **figures}
        rounded = {k: round(v, 2) if isinstance(v, float) else v for k, v in said.items()}
        with self._capsys.disabled():
            print(f"\n{json.dumps(rounded)}", flush=True)
        assert not self.long or not (broken := beyond(figures)), f"beyond the limits: {broken}"

    def _runs(self, deployment: str) -> bool:
        job = require_live(self.stack, f"{self.settings.namespace}-{deployment}")
        url = f"{self.stack.environment()['MILLRACE_FLINK']}/jobs/{job.id}"
        vertices = call_json(url)["vertices"]
        return all(one["status"] == "RUNNING" for one in vertices)

    def _drained(self, deployment: str, until: object) -> bool:
        with suppress(StackError):  # a cluster that is coming back
            drain(self.stack, self.settings, deployment, until, timeout_s=PATIENCE_S)  # type: ignore[arg-type]
            return True
        return False


def beyond(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that break the promise of a long form; of several of one name, each keeps it."""
    broken = {}
    for name in LIMITS.keys() & figures:
        (least, most), said = LIMITS[name], figures[name]
        if not all(least <= one <= most for one in (said if isinstance(said, list) else [said])):
            broken[name] = said
    return broken


def cancel_jobs(stack: Stack) -> None:
    """Cancels every job of the cluster, whoever submitted it."""
    for job in jobs(stack):
        if job.live:
            cancel(stack, job.name)
