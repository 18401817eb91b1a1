"""From a real Kafka to both stores: what came late is put right, what Kafka deleted is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson
import pyarrow.parquet as pq
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from typer.testing import CliRunner

from batch.lake import Lake
from batch.manifest import Gap
from batch.reconcile import Reconciled, reconcile
from feature_store.declaration import load
from feature_store.reference import fold
from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAY as DAYS
from feature_store.topics import INTERACTIONS
from infra.cli import app
from infra.stack.stack import Stack
from tests.builders import DAY, HOUR, Sent, view
from tests.conftest import isolated
from tests.integration.test_nightly import night
from tests.kafka_log import read_log

NOW = time.time_ns() // 1_000_000
OLD_DAY = DAYS.start(NOW) - 9 * DAY
AT = OLD_DAY + 12 * HOUR
#: Ann's second view of that day, and the only one of Carl, came four days later: H is two.
LATE = [
    view("ann", "tea", at=AT + HOUR, arrives=AT + 4 * DAY),
    view("carl", "tea", at=AT, arrives=AT + 4 * DAY + 1),
]
SENT = [view("ann", "tea", at=AT), *LATE, view("bob", "tea", at=NOW - HOUR)]

Held = dict[tuple[str, str, str, int], str]


@dataclass(frozen=True)
class Night:
    """The first recount of a shop: what the stores held before they were put right, and after."""

    settings: Settings
    repaired: list[Reconciled]
    before: dict[str, Held]
    after: dict[str, Held]


@pytest.fixture(scope="module")
def first(
    stack: Stack,
    tmp_path_factory: pytest.TempPathFactory,
    drop_keyspace: Callable[[str], None],
) -> Iterator[Night]:
    """Before it, the stores hold what the stream makes of the log."""
    settings = isolated(stack, tmp_path_factory.mktemp("landing"))
    settings = settings.model_copy(update={"horizon_hours": 48})
    arrivals_are_told(settings)
    send(settings, 0, *SENT)
    stores: tuple[Store, ...] = (RedisStore.connect(settings), CassandraStore.connect(settings))
    streamed = fold(load(settings.features), read_log(settings, INTERACTIONS.name),
                    settings.horizon_ms)  # fmt: skip
    for store in stores:
        store.write_tiles(streamed.tiles())
    before = {store.name: held(store) for store in stores}
    done = night(settings, "--recount-only")
    assert done.returncode == 0, done.stdout + done.stderr
    repaired = reconcile(settings, Lake(settings.lake), load(settings.features).fingerprint)
    yield Night(settings, repaired, before, {store.name: held(store) for store in stores})
    for store in stores:
        store.close()
    drop_keyspace(settings.namespace)


def arrivals_are_told(settings: Settings) -> None:
    """The topic takes the producer's clock for the time of arrival, so that days can pass."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    told = {"message.timestamp.type": "CreateTime"}
    topic = settings.topic(INTERACTIONS.name)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, told)])
    admin.close()


def send(settings: Settings, partition: int, *sent: Sent) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    for one in sent:
        producer.send(
            settings.topic(INTERACTIONS.name), orjson.dumps(one.body), b"k",
            partition=partition, timestamp_ms=one.arrives,
        )  # fmt: skip
    producer.flush()
    producer.close()


def delete_before(settings: Settings, **offsets: int) -> None:
    """What retention does: the oldest messages of partitions (`p0=3`) go."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    topic = settings.topic(INTERACTIONS.name)
    admin.delete_records({TopicPartition(topic, int(p[1:])): n for p, n in offsets.items()})
    admin.close()


def held(store: Store) -> Held:
    return {(t.entity, t.entity_id, t.level.code, t.start): t.body for t in store.scan_tiles()}


@pytest.mark.parametrize("store", ["redis", "cassandra"])
def test_what_came_too_late_for_the_stream_is_in_the_stores_after_the_night(
    first: Night, store: str
) -> None:
    before, after = first.before[store], first.after[store]
    days = [("user", "ann", "d", OLD_DAY), ("user", "carl", "d", OLD_DAY),
            ("item", "tea", "d", OLD_DAY)]  # fmt: skip
    assert [views(before, day) for day in days] == [1, 0, 1]
    assert [views(after, day) for day in days] == [2, 1, 3]
    (done,) = [one for one in first.repaired if one.store == store]
    assert (done.missing, done.different, done.extra, done.young) == (1, 2, 0, 0)
    changed = {tile for tile in after if after[tile] != before.get(tile)}
    assert {tile for tile in changed if tile[2] != "b"} == {*days}


def views(tiles: Held, tile: tuple[str, str, str, int]) -> int:
    return int(orjson.loads(tiles.get(tile, "{}")).get("views", 0))


def test_what_kafka_deleted_before_it_was_landed_is_said_and_all_else_is_landed_once(
    first: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, topic = first.settings, first.settings.topic(INTERACTIONS.name)
    for partition in (0, 1):
        send(settings, partition, *(view("bob", "tea", at=NOW - n, arrives=NOW) for n in range(5)))
    delete_before(settings, p0=len(SENT) - 1, p1=2)

    again = night(settings, "--recount-only")

    assert again.returncode == 0, again.stdout + again.stderr
    assert f"2 of {topic} LOST to retention" in again.stdout
    landed = Lake(settings.lake).landed(topic)
    assert landed.gaps == [Gap("1", 0, 2)]
    rows = [row for file in landed.files for row in offsets(landed.path(file))]
    assert sorted(rows) == [*((0, n) for n in range(len(SENT) + 5)), (1, 2), (1, 3), (1, 4)]
    monkeypatch.setattr(Stack, "settings", lambda self: settings)
    shown = CliRunner().invoke(app, ["lake"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "Kafka deleted offsets 0 to 1 of partition 1 before they were landed" in shown.output


def offsets(path: object) -> list[tuple[int, int]]:
    table = pq.read_table(path)
    return [*zip(table["partition"].to_pylist(), table["offset"].to_pylist(), strict=True)]
