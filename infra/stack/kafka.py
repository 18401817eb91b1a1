"""The log: one Kafka broker that is its own controller (KRaft)."""

from __future__ import annotations

import logging
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import ClassVar, Final

from infra.stack.errors import StackError
from infra.stack.jars import jars
from infra.stack.lifecycle import telling_line
from infra.stack.ports import LOOPBACK
from infra.stack.prerequisites import java
from infra.stack.service import Service

MESSAGE_LIMIT: Final = 4 * 2**20


class Kafka(Service):
    """Topics are never created by accident, and a record's time is its time of arrival."""

    name: ClassVar[str] = "kafka"
    ports_used: ClassVar[tuple[str, ...]] = ("kafka", "kafka_controller")

    @property
    def properties(self) -> Path:
        """The broker's configuration file."""
        return self.conf / "server.properties"

    def prepare(self) -> None:
        """Write the configuration and, the first time, format the storage."""
        self.conf.mkdir(parents=True, exist_ok=True)
        self.properties.write_text(self._configuration())
        if not (self.data / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        """The broker in half a gigabyte of heap."""
        return [
            *self._java("-Xms256m", "-Xmx512m"),
            "kafka.Kafka",
            str(self.properties),
        ]

    def answers(self) -> bool:
        """A metadata request returns a broker."""
        if not self.listens():
            return False
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        try:
            client = KafkaAdminClient(
                bootstrap_servers=f"{LOOPBACK}:{self.port}",
                request_timeout_ms=1500,
                bootstrap_timeout_ms=1500,
            )
        except (KafkaError, OSError):
            return False
        try:
            return bool(client.describe_cluster()["brokers"])
        except (KafkaError, OSError):
            return False
        finally:
            client.close()

    def on_ready(self) -> None:
        """Create the topics that are missing."""
        from feature_store.settings import Settings
        from infra.stack.topics import ensure_topics

        namespace = self.environment["MILLRACE_NAMESPACE"]
        ensure_topics(Settings(kafka=self.link, namespace=namespace))

    def _format(self) -> None:
        identity = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "--standalone",
            "--ignore-formatted",
        ]
        done = subprocess.run(
            [
                *self._java("-Xmx128m"),
                *tool,
                "-t",
                identity,
                "-c",
                str(self.properties),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            why = telling_line(done.stdout + done.stderr)
            raise StackError(f"Kafka could not format {self.data}: {why} Remove it and retry.")

    def _java(self, *options: str) -> list[str]:
        classpath = ":".join(str(path) for path in jars("kafka"))
        logs = "org.slf4j.simpleLogger"
        show = (f"-D{logs}.showDateTime=true", f"-D{logs}.dateTimeFormat=HH:mm:ss.SSS")
        return [java(), *options, *show, "-cp", classpath]

    def _configuration(self) -> str:
        broker, controller = (self.ports[name] for name in self.ports_used)
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{controller}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{broker},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{broker}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.data,
            "auto.create.topics.enable": "false",
            "log.message.timestamp.type": "LogAppendTime",
            "message.max.bytes": MESSAGE_LIMIT,
            "replica.fetch.max.bytes": MESSAGE_LIMIT,
            "group.initial.rebalance.delay.ms": 0,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())
