"""The speed layer's engine: a standalone Flink cluster of one job manager and one task manager."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final

from infra.stack.errors import StackError
from infra.stack.files import locked
from infra.stack.home import Home
from infra.stack.http import call_json
from infra.stack.jars import jars
from infra.stack.ports import LOOPBACK
from infra.stack.prerequisites import java
from infra.stack.service import Service

SLOTS: Final = 4
# The task manager's memory in MiB: 1.6 GiB together, Python workers not included.
HEAP_FRAMEWORK, HEAP_TASK, OFF_HEAP, NETWORK, MANAGED, METASPACE = (
    128,
    448,
    192,
    128,
    384,
    256,
)
MEMORY: Final = {
    "taskmanager.cpu.cores": "2.0",
    "taskmanager.memory.framework.heap.size": f"{HEAP_FRAMEWORK}m",
    "taskmanager.memory.task.heap.size": f"{HEAP_TASK}m",
    "taskmanager.memory.framework.off-heap.size": f"{OFF_HEAP}m",
    "taskmanager.memory.task.off-heap.size": "0m",
    "taskmanager.memory.network.min": f"{NETWORK}m",
    "taskmanager.memory.network.max": f"{NETWORK}m",
    "taskmanager.memory.managed.size": f"{MANAGED}m",
    "taskmanager.memory.jvm-metaspace.size": f"{METASPACE}m",
    "taskmanager.memory.jvm-overhead.min": "128m",
    "taskmanager.memory.jvm-overhead.max": "128m",
}
LOG4J: Final = """rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.name = out
appender.out.type = CONSOLE
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1} - %m%n
"""


@cache
def distribution() -> Path:
    """Where the pip package keeps Flink; raises `StackError` when it is not installed."""
    spec = find_spec("pyflink")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("Flink is not installed in this environment: type `make setup`.")
    return Path(spec.submodule_search_locations[0])


def flink_environment(home: Home) -> dict[str, str]:
    """Variables by which Flink's own scripts (`flink run …`) find this cluster."""
    conf = home.conf("flink")
    return {
        "FLINK_HOME": str(distribution()),
        "FLINK_CONF_DIR": str(conf),
        "FLINK_LIB_DIR": str(conf / "lib"),
        "FLINK_OPT_DIR": str(distribution() / "opt"),
        "FLINK_PLUGINS_DIR": str(distribution() / "plugins"),
        "FLINK_LOG_DIR": str(home.logs),
    }


def classpath(home: Home) -> str:
    """Flink, its Python bridge and the connectors, all loaded by the cluster itself.

    Jars that travel with a job (`pipeline.jars`) would be loaded anew at each restart of it, and
    setting that option by hand drops the Python bridge that Flink adds on its own.
    """
    return ":".join(str(path) for path in sorted((home.conf("flink") / "lib").glob("*.jar")))


def java_options() -> list[str]:
    """The module openings of the packaged configuration."""
    packaged = (distribution() / "conf" / "config.yaml").read_text()
    stated = re.search(r"^\s*all: (--add.*)$", packaged, re.MULTILINE)
    return stated[1].split() if stated else []


class _Flink(Service):
    """What both halves of the cluster share: one configuration directory."""

    stop_rank: ClassVar[int] = 1
    main_class: ClassVar[str]
    heap: ClassVar[tuple[str, ...]]

    def prepare(self) -> None:
        """Write the configuration; gather the jars; clear what a killed process left."""
        conf = self.home.conf("flink")
        with locked(self.home.run / "flink-conf.lock"):
            conf.mkdir(parents=True, exist_ok=True)
            (conf / "config.yaml").write_text(_configuration(self.home, self.ports))
            for name in (
                "log4j.properties",
                "log4j-cli.properties",
                "log4j-console.properties",
            ):
                (conf / name).write_text(LOG4J)
            _link_jars(conf / "lib")
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.prepared.touch()

    def command(self) -> list[str]:
        """The JVM itself: the packaged scripts start three more only to read the configuration."""
        conf = self.home.conf("flink")
        logging = [
            f"-Dlog.file={self.log}",
            f"-Dlog4j.configurationFile={conf}/log4j.properties",
        ]
        options = [
            *self.heap,
            f"-XX:MaxMetaspaceSize={METASPACE}m",
            *java_options(),
            *logging,
        ]
        main = [
            self.main_class,
            "--configDir",
            str(conf),
            "-D",
            f"io.tmp.dirs={self.data}",
        ]
        return [java(), *options, "-cp", classpath(self.home), *main]

    @property
    def prepared(self) -> Path:
        """A file as old as this start."""
        return self.data / "prepared"

    def ask(self, path: str) -> dict[str, Any]:
        """What REST says at `path`; empty when the job manager does not answer."""
        try:
            answer: dict[str, Any] = call_json(f"{self._url}/{path}", timeout_s=1.5)
        except StackError:
            return {}
        return answer

    @property
    def _url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['flink']}"


class JobManager(_Flink):
    """Accepts jobs and shows the Web UI."""

    name: ClassVar[str] = "flink-jobmanager"
    ports_used: ClassVar[tuple[str, ...]] = ("flink", "flink_rpc")
    main_class = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    heap = ("-Xms256m", "-Xmx448m", "-XX:+UseSerialGC")

    @property
    def link(self) -> str:
        """The Web UI, which is also the REST address."""
        return self._url

    def answers(self) -> bool:
        """REST answers."""
        return self.listens() and "taskmanagers" in self.ask("overview")


class TaskManager(_Flink):
    """Runs the jobs, and starts their Python workers."""

    name: ClassVar[str] = "flink-taskmanager"
    main_class = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    heap = (
        f"-Xms{HEAP_FRAMEWORK + HEAP_TASK}m",
        f"-Xmx{HEAP_FRAMEWORK + HEAP_TASK}m",
        f"-XX:MaxDirectMemorySize={OFF_HEAP + NETWORK}m",
        "-XX:+UseG1GC",
    )

    def answers(self) -> bool:
        """The job manager has its slots and has heard from it since it was started.

        For some seconds a killed one is still listed; its last heartbeat is then too old.
        """
        if not self.prepared.exists():
            return False
        started_ms = self.prepared.stat().st_mtime * 1e3
        listed = self.ask("taskmanagers").get("taskmanagers", [])
        return any(one["timeSinceLastHeartbeat"] > started_ms for one in listed)


def _link_jars(library: Path) -> None:
    shutil.rmtree(library, ignore_errors=True)
    library.mkdir(parents=True)
    packaged = distribution()
    bridge = (packaged / "opt").glob("flink-python-*.jar")
    for path in (*(packaged / "lib").glob("*.jar"), *bridge, *jars("flink")):
        (library / path.name).symlink_to(path)


def _configuration(home: Home, ports: Mapping[str, int]) -> str:
    settings = {
        "env.java.opts.all": " ".join(java_options()),
        "jobmanager.rpc.address": LOOPBACK,
        "jobmanager.rpc.port": ports["flink_rpc"],
        "jobmanager.bind-host": LOOPBACK,
        "jobmanager.memory.process.size": "1024m",
        "rest.address": LOOPBACK,
        "rest.bind-address": LOOPBACK,
        "rest.port": ports["flink"],
        "taskmanager.host": LOOPBACK,
        "taskmanager.bind-host": LOOPBACK,
        "taskmanager.numberOfTaskSlots": SLOTS,
        **MEMORY,
        "parallelism.default": 1,
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 10000,
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 2**31 - 1,
        "restart-strategy.fixed-delay.delay": "1 s",
        "state.backend.type": "rocksdb",
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.interval": "5 s",
        "execution.checkpointing.min-pause": "1 s",
        "execution.checkpointing.tolerable-failed-checkpoints": 100,
        "execution.checkpointing.num-retained": 2,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.dir": home.checkpoints.as_uri(),
        "execution.checkpointing.savepoint-dir": home.savepoints.as_uri(),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
    }
    return "".join(f"{key}: {value}\n" for key, value in settings.items())
