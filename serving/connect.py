"""The real world: Redis, Cassandra, Kafka and MLflow, none of which must be there at the start."""

from __future__ import annotations

from feature_store.settings import Settings
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.quota import RedisQuotas
from feature_store.stores.redis import RedisStore
from models.announced import Announced
from serving.background import Loop
from serving.guard import Guard, Ladder
from serving.letters import KafkaLetters
from serving.parts import Outside
from serving.publisher import KafkaPublisher
from serving.settings import ServingSettings
from serving.telemetry import Telemetry

#: Cassandra and Kafka are looked for this often until they are there.
CONNECT_S = 2.0


def connect(settings: Settings, rules: ServingSettings, telemetry: Telemetry) -> Outside:
    """Connects what connects at once, and leaves loops to connect the rest."""
    redis_s, cassandra_s = rules.redis_deadline_ms / 1_000, rules.cassandra_deadline_ms / 1_000
    pause_s = rules.pause_s
    hot = Guard("redis", telemetry, RedisStore.connect(settings, redis_s), pause_s=pause_s)
    kept = Guard("cassandra", telemetry, deadline_s=cassandra_s, pause_s=pause_s)
    patient_hot = Guard(
        "redis", telemetry, RedisStore.connect(settings), pause_s=pause_s, use="background"
    )
    patient_kept = Guard("cassandra", telemetry, pause_s=pause_s, use="background")

    def connect_cassandra() -> bool:
        store = CassandraStore.connect(settings)
        # A request that was given up must not hold a thread of its guard for the patient's time.
        kept.store, patient_kept.store = store.within(cassandra_s), store
        return True

    publisher = KafkaPublisher(settings, rules.kafka_deadline_ms, telemetry, pause_s)
    return Outside(
        stores=Ladder(hot, kept),
        patient_stores=Ladder(patient_hot, patient_kept),
        publisher=publisher,
        registry=Announced(settings.mlflow, settings.namespace),
        bundles=settings.bundles,
        letters=KafkaLetters(settings),
        quotas=RedisQuotas.connect(settings, redis_s),
        connecting=(
            Loop("cassandra", CONNECT_S, connect_cassandra, telemetry),
            Loop("kafka", CONNECT_S, publisher.connect, telemetry),
        ),
    )
