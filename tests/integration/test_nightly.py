"""The nightly over real Kafka, Spark and MLflow: landed once, recounted right, champion by gate."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from batch.files import read_json
from batch.lake import Lake
from batch.recount import compare, recounted_tiles
from feature_store.declaration import load
from feature_store.reference import Message, fold
from feature_store.settings import Settings
from feature_store.stores.base import Recent, UserState
from feature_store.topics import INTERACTIONS, ITEMS
from infra.stack.home import REPOSITORY
from infra.stack.jars import jars
from models.bundle import Bundle
from models.registry import Registry
from models.retrieval import retrieve
from tests.builders import DAY, HOUR

USERS, DAYS_OF_HISTORY = 24, 24
NOW = time.time_ns() // 1_000_000


def purchases() -> list[dict[str, object]]:
    """Everybody buys three things of a taste of their own, every other day."""
    return [
        {
            "event_id": f"{user}-{day}-{item}", "user_id": f"u{user}", "item_id": f"i{item}",
            "type": "purchase", "event_time": NOW - day * DAY - user * HOUR // 60, "price": 1.5,
        }
        for user in range(USERS)
        for day in range(user % 2, DAYS_OF_HISTORY, 2)
        for item in ((user + day) % 6, user % 6, 6 + (user * day) % 5)
    ]  # fmt: skip


def send(settings: Settings, topic: str, values: list[bytes | None], key: bytes = b"k") -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    for value in values:
        producer.send(settings.topic(topic), value, key)
    producer.flush()
    producer.close()


def night(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`spark-submit batch/nightly.py`, as the stack does it."""
    said = {f"MILLRACE_{k.upper()}": str(v) for k, v in settings.model_dump().items()}
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    command = [
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", "local[2]", "--driver-memory", "1g"),
        *("--jars", ",".join(map(str, jars("spark")))),
        *(str(REPOSITORY / "batch" / "nightly.py"), *arguments),
    ]
    environment = {**os.environ, **said, **python, "SPARK_LOCAL_IP": "127.0.0.1"}
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)


def log(settings: Settings) -> list[Message]:
    """The interactions as Kafka has them, in order of arrival."""
    topic = settings.topic(INTERACTIONS.name)
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, consumer_timeout_ms=3_000)
    consumer.assign([TopicPartition(topic, p) for p in range(INTERACTIONS.partitions)])
    consumer.seek_to_beginning()
    found = [Message(m.partition, m.offset, m.timestamp, m.value) for m in consumer]
    consumer.close()
    return sorted(found, key=lambda m: (m.append_time, m.partition, m.offset))


@pytest.fixture
def spacious(settings: Settings) -> Settings:
    """H spans the history, as in the demo."""
    return settings.model_copy(update={"horizon_hours": 24 * 60})


def test_a_night_lands_recounts_trains_and_promotes_and_the_next_adds_only_what_is_new(
    spacious: Settings,
) -> None:
    declaration = load(spacious.features)
    bought: list[bytes | None] = [orjson.dumps(event) for event in purchases()]
    send(spacious, INTERACTIONS.name, [*bought, bought[0], b"{broken"])
    titles = [orjson.dumps({"item_id": f"i{n}", "title": f"Thing {n}"}) for n in range(12)]
    send(spacious, ITEMS.name, [*titles])

    done = night(spacious)

    assert done.returncode == 0, done.stdout + done.stderr
    facts = read_json(spacious.lake / "nightly.json")
    topic = spacious.topic(INTERACTIONS.name)
    assert facts["landed"][topic] == {"rows": len(bought) + 2, "invalid": 1}
    assert facts["gate"]["passed"], facts["gate"]
    registry = Registry(spacious.mlflow, spacious.namespace)
    champion = registry.champion()
    assert champion is not None
    assert champion.bundle_id == facts["bundle"]
    fetched = registry.fetch(champion, spacious.bundles / "elsewhere")
    bundle = Bundle.load(fetched, declaration)
    click = Recent(NOW, "c", "click", "i3", 1, 0, "")
    found = retrieve(bundle.sources, UserState("new", recents=(click,)), NOW)
    assert "own" in found.offered_by(found.positions.tolist().index(bundle.index_of["i3"]))

    leftover = spacious.lake / "log" / topic / "a-killed-run"
    leftover.mkdir()
    (leftover / "part-0.parquet").write_bytes(b"half a file")
    later = {**purchases()[0], "event_id": "later"}
    send(spacious, INTERACTIONS.name, [orjson.dumps(later)])

    again = night(spacious, "--recount-only")

    assert again.returncode == 0, again.stdout + again.stderr
    landed = Lake(spacious.lake).landed(topic)
    messages = log(spacious)
    assert landed.rows == len(messages) == len(bought) + 3
    reference = fold(declaration, messages, spacious.horizon_ms)
    same = compare("reference", reference.tiles(), recounted_tiles(Lake(spacious.lake)), {})
    assert same.equal, same


def test_nothing_landed_is_refused_in_a_sentence(settings: Settings) -> None:
    done = night(settings)
    assert done.returncode == 1
    assert "The data gate refused" in done.stdout  # spark-submit merges the two outputs
    assert "Traceback" not in done.stdout
