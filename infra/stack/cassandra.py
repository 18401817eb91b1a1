"""The kept store: one Cassandra node."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar, Final

from infra.stack.jars import jar, jars
from infra.stack.mounts import mounted_root
from infra.stack.ports import LOOPBACK
from infra.stack.prerequisites import java
from infra.stack.service import Service

# What Cassandra's own jvm17-server.options open for it.
EXPORTED: Final = (
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.rmi/sun.rmi.transport.tcp",
    "jdk.unsupported/sun.misc",
)
OPENED: Final = (
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.nio",
    "java.rmi/sun.rmi.transport.tcp",
)
LOGBACK: Final = """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"""


class Cassandra(Service):
    """A node with one token, its ring formed at once because it is alone."""

    name: ClassVar[str] = "cassandra"
    ports_used: ClassVar[tuple[str, ...]] = ("cassandra", "cassandra_storage")
    stop_patience_s: ClassVar[float] = 20
    nice: ClassVar[int] = 5

    @property
    def yaml(self) -> Path:
        """The node's configuration file."""
        return self.conf / "cassandra.yaml"

    def prepare(self) -> None:
        """Write the configuration."""
        self.conf.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(parents=True, exist_ok=True)
        self.yaml.write_text(self._configuration())
        (self.conf / "logback.xml").write_text(LOGBACK)

    def command(self) -> list[str]:
        """The daemon in half a gigabyte of heap."""
        properties = {
            "cassandra.config": self.yaml.as_uri(),
            "cassandra.storagedir": self.data,
            "cassandra-foreground": "true",
            "cassandra.skip_wait_for_gossip_to_settle": 0,
            "cassandra.ring_delay_ms": 1,
            "logback.configurationFile": self.conf / "logback.xml",
            "jdk.attach.allowAttachSelf": "true",
            "io.netty.tryReflectionSetAccessible": "true",
        }
        return [
            *mounted_root(self.data / "root"),
            java(),
            *(
                "-Xms512m",
                "-Xmx512m",
                "-Xss384k",
                f"-javaagent:{jar('cassandra', 'jamm-')}",
            ),
            *(f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTED),
            *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED),
            *(f"-D{key}={value}" for key, value in properties.items()),
            *("-cp", ":".join(str(path) for path in jars("cassandra"))),
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    def answers(self) -> bool:
        """A SELECT is answered."""
        if not self.listens():
            return False
        from cassandra.cluster import Cluster, NoHostAvailable

        logging.getLogger("cassandra").setLevel(logging.CRITICAL)
        cluster = Cluster([LOOPBACK], port=self.port or 0, connect_timeout=1.5)
        try:
            return bool(cluster.connect().execute("SELECT key FROM system.local", timeout=1.5))
        except (NoHostAvailable, OSError):
            return False
        finally:
            cluster.shutdown()

    def _configuration(self) -> str:
        native, storage = (self.ports[name] for name in self.ports_used)
        directories = {
            "data_file_directories": f"[{self.data / 'data'}]",
            "commitlog_directory": self.data / "commitlog",
            "saved_caches_directory": self.data / "saved_caches",
            "hints_directory": self.data / "hints",
            "cdc_raw_directory": self.data / "cdc_raw",
        }
        settings = {
            "cluster_name": "millrace",
            "num_tokens": 1,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "listen_address": LOOPBACK,
            "rpc_address": LOOPBACK,
            "start_native_transport": "true",
            "native_transport_port": native,
            "storage_port": storage,
            **directories,
            "commitlog_sync": "periodic",
            "commitlog_sync_period": "10000ms",
            "commitlog_segment_size": "16MiB",
            "commitlog_total_space": "256MiB",
            "memtable_allocation_type": "heap_buffers",
            "memtable_heap_space": "128MiB",
            "disk_access_mode": "standard",
            "auto_snapshot": "false",
            "batch_size_warn_threshold": "256KiB",
            "batch_size_fail_threshold": "1024KiB",
        }
        lines = [f"{key}: {value}\n" for key, value in settings.items()]
        seeds = f"      - seeds: {LOOPBACK}:{storage}\n"
        provider = "org.apache.cassandra.locator.SimpleSeedProvider"
        return "".join(lines) + (
            f"seed_provider:\n  - class_name: {provider}\n    parameters:\n{seeds}"
        )
