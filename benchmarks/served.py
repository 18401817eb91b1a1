"""The two sides of the serving benchmarks: each one process over the same Redis and bundle."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.baselines import naive_serving
from benchmarks.factors import resampled, trained
from benchmarks.open_loop import Load, get
from benchmarks.shop import Shop, shop
from benchmarks.stage import Stage, say, staged
from infra.stack.errors import StackError
from infra.stack.ports import LOOPBACK
from infra.stack.serving import EDGE
from models import rows
from serving.keys import Scope, create

LIMIT: Final = 20
#: The naive side gets fewer users: it is asked for fewer lists, and each has sixty keys.
NAIVE_USERS: Final = 2_000
COMPARED: Final = 20
READY_S: Final = 300
#: How long our server may read items, and what its answers lack until it has.
READ_S: Final = 600
UNREAD: Final = "item_features"
#: How long a server may take to come to rest, and what it takes of a core when it has.
REST_S: Final = 120
RESTING: Final = 0.4
SERVICES: Final = ("kafka", "redis")


@dataclass
class Side:
    """A server that runs, and how to ask it."""

    name: str
    port: int
    process: psutil.Process
    path: str
    users: int
    headers: str
    first_rate: float
    ready_s: float

    def requests(self) -> Iterator[bytes]:
        """Requests of users at random, without end."""
        rng = random.Random(1)
        while True:
            yield get(self.path.format(rng.randrange(self.users)), self.headers)

    def listed(self, user: int) -> list[str]:
        """The ids of one user's list."""
        return [item["id"] for item in self.answer(user)["items"]]

    def answer(self, user: int) -> dict[str, Any]:
        """What one user is told."""
        headers = dict(line.split(": ") for line in self.headers.splitlines())
        url = f"http://{LOOPBACK}:{self.port}{self.path.format(user)}"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def settle(self) -> None:
        """Waits until the server has read all items: that is over once, and then never again."""
        begun = time.monotonic()
        while UNREAD in self.answer(0)["degraded"]:
            if time.monotonic() - begun > READ_S:
                raise StackError(f"{self.name} did not read its items in {READ_S} s.")
            time.sleep(1)
        say(f"{self.name} has read all items {time.monotonic() - begun:.0f} s later")

    def cpu_s(self) -> float:
        """Processor time of the server so far."""
        spent = self.process.cpu_times()
        return float(spent.user + spent.system)

    def rest(self) -> None:
        """Waits until the server has done with what nobody waits for any more."""
        for _ in range(REST_S):
            spent = self.cpu_s()
            time.sleep(1)
            if self.cpu_s() - spent < RESTING:
                return

    def per_core(self, load: Load) -> float:
        """Good answers for each second of the server's processor time."""
        return load.good / max(load.cpu_s, 1e-9)

    def memory(self) -> dict[str, int]:
        """Resident and proportional memory, MiB; a mapped bundle counts in both."""
        seen = self.process.memory_full_info()
        return {"rss_mib": seen.rss >> 20, "pss_mib": seen.pss >> 20, "uss_mib": seen.uss >> 20}


@contextmanager
def sides(options: argparse.Namespace) -> Iterator[tuple[Side, Side]]:
    """(ours, naive), over a stack of their own."""
    with _running(options) as (stage, made, root, running):
        yield _ours(stage, made, root, running), _naive(stage, made, running)


@contextmanager
def ours_alone(options: argparse.Namespace) -> Iterator[Side]:
    """Ours, over a stack of its own."""
    with _running(options) as (stage, made, root, running):
        yield _ours(stage, made, root, running)


Running = tuple[Stage, Shop, Path, list[subprocess.Popen[bytes]]]


@contextmanager
def _running(options: argparse.Namespace) -> Iterator[Running]:
    """A filled stack, and the servers to stop in the end."""
    with tempfile.TemporaryDirectory(prefix="millrace-serving-") as temporary:
        root = Path(options.home or temporary).resolve()
        with staged(SERVICES, str(root / "stack")) as stage:
            made = prepare(stage, root, options.items, options.users)
            running: list[subprocess.Popen[bytes]] = []
            try:
                yield stage, made, root, running
            finally:
                for server in running:
                    server.terminate()
                    server.wait(20)


def prepare(stage: Stage, root: Path, items: int, users: int) -> Shop:
    """The bundle and the users; a bundle of this size that is there already is used again."""
    made = shop(stage.features, items, users)
    shape = hashlib.sha256(repr((items, users, rows.columns(stage.features))).encode()).hexdigest()
    bundles = root / f"bundles-{shape[:16]}"
    if not bundles.is_dir():
        say(f"a bundle of {items:,} items")
        draft = root / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        made.publish(draft, resampled(trained().items, items))
        draft.rename(bundles)
    say(f"{users:,} users into Redis")
    made.fill(stage.settings)
    few = [made.user(number) for number in range(min(users, NAIVE_USERS))]
    naive_serving.fill(stage.settings, stage.features, few, made.now)
    os.environ["MILLRACE_BUNDLES"] = str(bundles)
    return made


def same_lists(ours: Side, naive: Side) -> float:
    """The share of our items that the naive lists have too: both do the same work."""
    shares = []
    for user in range(COMPARED):
        mine, theirs = ours.listed(user), naive.listed(user)
        shares.append(len(set(mine) & set(theirs)) / max(1, len(mine)))
    return sum(shares) / len(shares)


def _ours(stage: Stage, made: Shop, root: Path, running: list[subprocess.Popen[bytes]]) -> Side:
    keys = root / "keys.json"
    _, token = create(keys, "bench", frozenset({Scope.READ}), None, None, 1e6, 1_000_000)
    told = {
        "MILLRACE_SERVING_ACCESS": "keys",
        "MILLRACE_SERVING_KEYS": str(keys),
        "MILLRACE_SERVING_AUDIT": str(root / "audit.jsonl"),
        "MILLRACE_SERVING_RESULT_S": "0",
        # There is no Cassandra here, and no bundle that anybody announces.
        "MILLRACE_CASSANDRA": f"{LOOPBACK}:9",
    }
    headers = f"Authorization: Bearer {token}\r\n"
    path = f"/api/recommendations/{made.user(0)[:-1]}{{}}?limit={LIMIT}"
    side = _side("ours", EDGE, stage, told, path, made.users, headers, 100.0, running)
    side.settle()
    return side


def _naive(stage: Stage, made: Shop, running: list[subprocess.Popen[bytes]]) -> Side:
    app = ("--no-access-log", "--factory", "benchmarks.baselines.naive_serving:create_app")
    path, users = f"/recommendations/{made.user(0)[:-1]}{{}}?limit={LIMIT}", NAIVE_USERS
    return _side("naive", app, stage, {}, path, min(users, made.users), "", 8.0, running)


def _side(
    name: str, app: Sequence[str], stage: Stage, told: dict[str, str], path: str, users: int,
    headers: str, first_rate: float, running: list[subprocess.Popen[bytes]],
) -> Side:  # fmt: skip
    port, begun = _free_port(), time.monotonic()
    server = ["--host", LOOPBACK, "--port", str(port), *app]
    log = Path(tempfile.gettempdir()) / f"millrace-bench-{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *server],
            env={**stage.stack.children_environment(), **os.environ, **told},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running.append(process)
    side = Side(name, port, psutil.Process(process.pid), path, users, headers, first_rate, 0.0)
    while time.monotonic() - begun < READY_S:
        try:
            if side.listed(0):
                side.ready_s = round(time.monotonic() - begun, 1)
                say(f"{name} answers after {side.ready_s} s")
                return side
        except OSError:
            pass  # it does not listen yet, or has no bundle yet
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise StackError(f"The {name} server gives no list: {log} says why.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def chosen(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, with a home that exists."""
    options = parser.parse_args()
    if options.home:
        Path(options.home).mkdir(parents=True, exist_ok=True)
    return options
