"""What both halves of the local Flink cluster read: configuration, jars, environment."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from infra.stack.errors import StackError
from infra.stack.files import locked, write_atomically
from infra.stack.home import Home
from infra.stack.jars import jars
from infra.stack.ports import LOOPBACK

SLOTS: Final = 4
# The task manager's memory in MiB: 1.4 GiB together, Python workers not included.
HEAP_FRAMEWORK, HEAP_TASK, OFF_HEAP, NETWORK, MANAGED, METASPACE = (
    128,
    448,
    192,
    128,
    128,
    256,
)
#: RocksDB's for the state of all jobs together, in MiB, beside these: as a share of each slot, that
#: of the slots which wait for an upgrade would lie idle.
STATE: Final = 768
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
PROMETHEUS: Final = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
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


def write_configuration(home: Home, ports: Mapping[str, int]) -> None:
    """Write what the cluster and its clients read, and gather the jars."""
    conf = home.conf("flink")
    with locked(home.run / "flink-conf.lock"):
        conf.mkdir(parents=True, exist_ok=True)
        write_atomically(conf / "config.yaml", _configuration(home, ports))
        for name in ("log4j.properties", "log4j-cli.properties", "log4j-console.properties"):
            write_atomically(conf / name, LOG4J)
        _link_jars(conf / "lib")


def _link_jars(library: Path) -> None:
    packaged = distribution()
    bridge = (packaged / "opt").glob("flink-python-*.jar")
    paths = (*(packaged / "lib").glob("*.jar"), *bridge, *jars("flink"), *jars("streaming"))
    wanted = {library / path.name: path for path in paths}
    library.mkdir(parents=True, exist_ok=True)
    # Links that are right stay untouched: the other half of the cluster may be loading them.
    for link in library.iterdir():
        if link not in wanted or link.readlink() != wanted[link]:
            link.unlink()
    for link, path in wanted.items():
        if not link.is_symlink():
            link.symlink_to(path)


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
        # Most keys are new to a tile: a filter answers that without reading a file.
        "state.backend.rocksdb.use-bloom-filter": "true",
        # Or a filter is read whole, megabytes for one key, once the cache is too small for all.
        "state.backend.rocksdb.memory.partitioned-index-filters": "true",
        # Managed memory would go first.
        "state.backend.rocksdb.memory.managed": "false",
        "state.backend.rocksdb.memory.fixed-per-tm": f"{STATE}m",
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.interval": "5 s",
        "execution.checkpointing.min-pause": "1 s",
        "execution.checkpointing.tolerable-failed-checkpoints": 100,
        "execution.checkpointing.num-retained": 2,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.dir": home.checkpoints.as_uri(),
        "execution.checkpointing.savepoint-dir": home.savepoints.as_uri(),
        # Each half of the cluster is told its own port when it is started.
        "metrics.reporters": "prometheus",
        "metrics.reporter.prometheus.factory.class": PROMETHEUS,
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
    }
    return "".join(f"{key}: {value}\n" for key, value in settings.items())
