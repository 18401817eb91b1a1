"""The speed layer's engine: a standalone Flink cluster of one job manager and one task manager."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

from infra.stack.errors import StackError
from infra.stack.flink_conf import (
    HEAP_FRAMEWORK,
    HEAP_TASK,
    METASPACE,
    NETWORK,
    OFF_HEAP,
    classpath,
    java_options,
    write_configuration,
)
from infra.stack.http import call_json
from infra.stack.ports import LOOPBACK
from infra.stack.prerequisites import java
from infra.stack.service import Service


class _Flink(Service):
    """What both halves of the cluster share: one configuration directory."""

    stop_rank: ClassVar[int] = 1
    main_class: ClassVar[str]
    heap: ClassVar[tuple[str, ...]]

    def prepare(self) -> None:
        """Write the configuration; clear what a killed process left."""
        write_configuration(self.home, self.ports)
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
            "-D",
            f"metrics.reporter.prometheus.port={self.ports[self.metrics_port]}",
        ]
        return [java(), *options, "-cp", classpath(self.home), *main]

    @property
    def metrics(self) -> str:
        """Flink's own reporter; the catalogue is in `docs/metrics.md`."""
        return f"http://{LOOPBACK}:{self.ports[self.metrics_port]}/metrics"

    @property
    def metrics_port(self) -> str:
        """What the port of the metrics is called."""
        return f"{self.name.replace('-', '_')}_metrics"

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
    ports_used: ClassVar[tuple[str, ...]] = ("flink", "flink_rpc", "flink_jobmanager_metrics")
    main_class = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    heap = ("-Xms256m", "-Xmx448m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

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
    ports_used: ClassVar[tuple[str, ...]] = ("flink_taskmanager_metrics",)
    main_class = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
    heap = (
        f"-Xms{HEAP_FRAMEWORK + HEAP_TASK}m",
        f"-Xmx{HEAP_FRAMEWORK + HEAP_TASK}m",
        f"-XX:MaxDirectMemorySize={OFF_HEAP + NETWORK}m",
        "-XX:+UseG1GC",
    )

    @property
    def link(self) -> str:
        """Nobody calls it; its port is that of its metrics."""
        return ""

    def answers(self) -> bool:
        """The job manager has its slots and has heard from it since it was started.

        For some seconds a killed one is still listed; its last heartbeat is then too old.
        """
        if not self.prepared.exists():
            return False
        started_ms = self.prepared.stat().st_mtime * 1e3
        listed = self.ask("taskmanagers").get("taskmanagers", [])
        return any(one["timeSinceLastHeartbeat"] > started_ms for one in listed)
