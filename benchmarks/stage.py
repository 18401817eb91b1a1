"""Where the benchmarks play: a stack of their own, a topic filled beforehand, and the last line."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
import redis

from benchmarks.log import Log
from feature_store import declaration
from feature_store.declaration import Declaration
from feature_store.settings import Settings
from feature_store.topics import INTERACTIONS
from infra.stack.errors import StackError
from infra.stack.home import DEFAULT_ROOT, Home
from infra.stack.interrupts import treat_termination_as_interrupt
from infra.stack.jars import jars
from infra.stack.prerequisites import java
from infra.stack.stack import Stack
from infra.stack.topics import ensure_topics

#: The newest last line of each benchmark.
RESULTS: Final = DEFAULT_ROOT / "bench"
PRELOAD: Final = Path(__file__).with_name("Preload.java")
#: Where a benchmark begins, and where serving and the nightly of its stack are.
NAMESPACE: Final = "bench"
#: Distributions that decide how fast a side is.
VERSIONS: Final = ("apache-flink", "kafka-python", "redis", "orjson")


@dataclass
class Stage:
    """A running stack; `enter` chooses the namespace that the next side reads and writes."""

    stack: Stack
    settings: Settings = field(default_factory=Settings)

    @property
    def features(self) -> Declaration:
        """The declaration that every side computes."""
        return declaration.load(self.settings.features)

    @property
    def redis(self) -> redis.Redis:
        """The hot store, raw."""
        return redis.Redis.from_url(self.settings.redis, decode_responses=True)

    def enter(self, namespace: str) -> None:
        """Goes to a namespace, in which the topics exist from then on."""
        os.environ["MILLRACE_NAMESPACE"] = namespace
        os.environ.update(self.stack.environment())
        self.settings = Settings()
        ensure_topics(self.settings)

    def preload(self, log: Log) -> None:
        """Fills the namespace's topic of interactions."""
        begun = time.monotonic()
        classpath = ":".join(map(str, jars("kafka")))
        topic = self.settings.topic(INTERACTIONS.name)
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        program = [java(), "-Xmx512m", quiet, "-cp", classpath, str(PRELOAD)]
        command = [*program, self.settings.kafka, topic]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as sender:
            assert sender.stdin is not None
            sender.stdin.writelines(log.lines())
            sender.stdin.close()
        if sender.returncode != 0:
            raise StackError(f"Kafka did not take the log into {topic}: its client says why above.")
        say(f"{log.messages:,} messages in {topic} after {time.monotonic() - begun:.0f} s")

    def clear(self) -> None:
        """Empties Redis: the next side starts from nothing."""
        self.redis.flushall()


@contextmanager
def staged(services: Collection[str], home: str | None = None) -> Iterator[Stage]:
    """A stack of the benchmark's own, taken down at the end; `home` keeps its directory."""
    treat_termination_as_interrupt()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as temporary:
        stack = Stack(Home(Path(home or temporary).resolve()))
        os.environ["MILLRACE_HOME"] = str(stack.home.root)
        os.environ["MILLRACE_NAMESPACE"] = NAMESPACE
        say(f"starting {', '.join(services) or 'the whole stack'}")
        stack.up(services)
        try:
            stage = Stage(stack)
            stage.enter(NAMESPACE)
            yield stage
        except StackError as failure:
            sys.exit(str(failure))
        finally:
            stack.down()


def say(line: str) -> None:
    """One line of progress."""
    print(f"  {line}", flush=True)


def machine() -> dict[str, Any]:
    """What it ran on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory} GiB",
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in VERSIONS},
    }


def report(name: str, figures: Mapping[str, Any]) -> None:
    """Prints the last line, and keeps it in `.millrace/bench` for `benchmarks/capacity.py`."""
    line = orjson.dumps({"bench": name, **figures}, option=orjson.OPT_NON_STR_KEYS).decode()
    kept = RESULTS / f"{name}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(line + "\n")
    print(line, flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
