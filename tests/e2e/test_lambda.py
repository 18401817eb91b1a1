"""What the whole lambda promises, on real Kafka, Flink, Redis, Cassandra, Spark, MLflow and API."""

from __future__ import annotations

import statistics
import time

import orjson
import pytest

from feature_store.reference import ring
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from infra.compare import compare_stores
from infra.shopper import Shopper, ids, some_user
from infra.stack.http import call_json
from infra.traffic.message import Message
from infra.traffic.producer import Sender
from tests.builders import view
from tests.e2e.conftest import DEPLOYMENTS, Pipeline
from tests.kafka_log import read_log
from tests.scrape import wait_for_stores

CLICKS = 20
#: The sources that need to know something about a person.
PERSONAL = {"als", "own", "covisitation", "content"}


def test_every_message_is_accounted_for(pipeline: Pipeline) -> None:
    counts = pipeline.folded().counts
    sent = pipeline.sent
    assert counts["sent"] == sent.interactions == sent.good + sent.bad + sent.duplicates
    assert counts["dead_lettered"] == sent.bad
    assert counts["duplicates"] == sent.duplicates
    assert counts["applied"] == sent.good


def test_every_tile_in_both_stores_equals_sparks_recount(pipeline: Pipeline) -> None:
    hot, kept = compare_stores(pipeline.settings)
    assert (hot.missing, hot.different, hot.extra) == (0, 0, 0), hot.examples
    assert (kept.missing, kept.different, kept.extra) == (0, 0, 0), kept.examples
    assert hot.tiles > 1000


def test_every_tile_in_both_stores_equals_the_reference_engine(pipeline: Pipeline) -> None:
    folded = list(pipeline.folded().tiles())
    redis, cassandra = (s.connect(pipeline.settings) for s in (RedisStore, CassandraStore))
    assert set(redis.scan_tiles()) == set(ring(folded).values())
    assert set(cassandra.scan_tiles()) == set(folded)


def test_bad_messages_are_dead_letters_with_their_place_and_reason(pipeline: Pipeline) -> None:
    expected = {
        ("user-interactions", message.partition, message.offset, reason)
        for message, reason in pipeline.folded().dead_letters
    }
    letters = [
        orjson.loads(m.value or b"") for m in read_log(pipeline.settings, "user-interactions-dlt")
    ]
    found = {(x["topic"], x["partition"], x["offset"], x["reason"]) for x in letters}
    assert found == expected


@pytest.mark.parametrize("deployment", ["hot", "kept"])
def test_no_bad_message_restarted_a_job(pipeline: Pipeline, deployment: str) -> None:
    assert pipeline.restarts(deployment) == 0


def test_both_stores_know_the_same_user(pipeline: Pipeline) -> None:
    user = "user-000001"
    hot = RedisStore.connect(pipeline.settings).read_user(user)
    kept = CassandraStore.connect(pipeline.settings).read_user(user)
    assert hot.recents
    assert hot.recents == kept.recents
    assert hot.profile == kept.profile is not None


def test_an_answer_says_where_it_came_from(api: str) -> None:
    answer = Shopper(api, some_user(api)).recommendations()
    assert len(answer["items"]) == len(set(ids(answer))) == 10
    assert answer["degraded"] == []
    assert answer["features_from"] == "redis"
    for item in answer["items"]:
        assert item["sources"]
        assert item["reason"]
        assert item["title"]


def test_clicks_change_the_answer(api: str) -> None:
    shopper = Shopper(api, some_user(api))
    answer = shopper.recommendations()
    clicks = []
    for number in range(CLICKS):
        clicks.append(shopper.click(answer, position=number % 10))
        answer = clicks[-1].after
    assert any(click.changed for click in clicks)
    print(f"click to answer: median {statistics.median(c.milliseconds for c in clicks):.0f} ms")


def test_the_first_click_of_a_new_visitor_personalises(api: str) -> None:
    visitor = Shopper(api, f"anon:visitor-{time.time_ns()}")
    before = visitor.recommendations()
    assert before["last_event_id"] is None
    assert not PERSONAL & before["sources"].keys()
    after = visitor.click(before, position=5).after
    assert PERSONAL & after["sources"].keys()
    assert any("you viewed" in item["reason"] for item in after["items"])


def test_trending_is_published_while_nothing_happens(api: str) -> None:
    first = call_json(f"{api}/api/trending?window=24h")
    time.sleep(15)
    later = call_json(f"{api}/api/trending?window=24h")
    assert later["items"]
    assert later["published_at"] > first["published_at"]


def test_an_erasure_request_forgets_the_user(pipeline: Pipeline) -> None:
    from kafka import KafkaProducer

    user = "user-000002"
    store = RedisStore.connect(pipeline.settings)
    assert store.read_user(user).profile is not None
    producer = KafkaProducer(bootstrap_servers=pipeline.settings.kafka)
    producer.send(pipeline.settings.topic("user-profile-updates"), key=user.encode(), value=None)
    producer.close()
    pipeline.drain()
    for known in (store, CassandraStore.connect(pipeline.settings)):
        erased = known.read_user(user)
        assert (erased.profile, erased.recents) == (None, ())


def test_while_redis_is_away_hot_says_so_and_waits_and_kept_goes_on(
    pipeline: Pipeline, api: str
) -> None:
    stack, settings, user = pipeline.stack, pipeline.settings, f"patient-{time.time_ns()}"
    now, before = time.time_ns() // 1_000_000, [pipeline.restarts(name) for name in DEPLOYMENTS]
    stack.down(["redis"])
    try:
        # Nothing is sent yet: the tick of trending finds that the store is away.
        wait_for_stores(stack, settings.namespace, hot=True, kept=False)
        with Sender(settings) as sender:
            body = orjson.dumps(view(user, "milk", at=now).body)
            sender.send(Message("user-interactions", user.encode(), body, now))
        pipeline.drain("kept")
        assert len(CassandraStore.connect(settings).read_user(user).recents) == 1
        wait_for_stores(stack, settings.namespace, hot=True, kept=False)
    finally:
        stack.up(["redis"])
    wait_for_stores(stack, settings.namespace, hot=False, kept=False)
    store, deadline = RedisStore.connect(settings), time.monotonic() + 30
    while not store.read_user(user).recents or Shopper(api, user).recommendations()["degraded"]:
        assert time.monotonic() < deadline, "not known to Redis, or to the API, after 30 s"
        time.sleep(0.1)
    assert [pipeline.restarts(name) for name in DEPLOYMENTS] == before
