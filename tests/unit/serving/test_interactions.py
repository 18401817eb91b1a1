"""`POST /api/interactions`: 202 means Kafka has it, and what it has is never dead-lettered."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from feature_store.events import Interaction, decode_interaction, decode_profile
from feature_store.stores.base import Recent
from tests.unit.serving.world import NOW, Broken, Make, World, ids

CLICK = {"user_id": "ann", "item_id": "milk", "type": "click"}


def post(world: World, body: Any) -> Any:
    return world.http.post("/api/interactions", json=body)


def test_an_acknowledged_click_is_accepted_with_its_event_id(world: World) -> None:
    answer = post(world, CLICK)
    assert answer.status_code == 202
    (message,) = world.kafka.acknowledged
    event = decode_interaction(message.value, time.time_ns() // 1_000_000)
    assert isinstance(event, Interaction)
    assert (message.topic, message.key) == ("user-interactions", b"ann")
    assert answer.json() == {"accepted": 1, "event_ids": [event.event_id], "degraded": []}
    assert abs(event.event_time - time.time() * 1_000) < 60_000


def test_an_id_and_a_time_that_are_given_are_kept(world: World) -> None:
    post(world, {**CLICK, "event_id": "e1", "event_time": 1_700_000_000_000})
    said = orjson.loads(world.kafka.acknowledged[0].value)
    assert (said["event_id"], said["event_time"]) == ("e1", 1_700_000_000_000)


def test_an_anonymous_session_is_keyed_by_its_actor(world: World) -> None:
    post(world, {"session_id": "s1", "item_id": "milk", "type": "view"})
    assert world.kafka.acknowledged[0].key == b"anon:s1"


def test_a_batch_is_accepted_whole_or_not_at_all(world: World) -> None:
    assert post(world, [CLICK] * 500).json()["accepted"] == 500
    world.kafka.acknowledged.clear()
    refused = post(world, [CLICK, {**CLICK, "type": "rating"}])
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "body.1"
    assert world.kafka.acknowledged == []


def test_without_kafka_nothing_is_accepted_and_the_ids_to_send_again_are_named(
    world: World,
) -> None:
    world.kafka.out = True
    answer = post(world, CLICK)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert len(answer.json()["event_ids"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        [CLICK] * 501,
        {**CLICK, "type": "stare"},
        {"item_id": "milk", "type": "click"},
        {"user_id": "ann", "type": "click"},
        {"user_id": "ann", "type": "search"},
        {**CLICK, "type": "rating"},
        {**CLICK, "quantity": 0},
        {**CLICK, "quantity": 2.5},
        {**CLICK, "price": -1},
        {**CLICK, "price": "1"},
        {**CLICK, "itemid": "typo"},
        {**CLICK, "user_id": "a\x00b"},
        {**CLICK, "user_id": "a\r\nb"},
        {**CLICK, "user_id": "a" * 257},
        {**CLICK, "schema_version": 2},
        {**CLICK, "event_time": -1},
        {**CLICK, "event_time": 253_402_300_799_001},
        "text",
        7,
    ],
    ids=lambda body: str(body)[:40],
)
def test_what_the_stream_would_refuse_is_refused_here(world: World, body: Any) -> None:
    assert_refused(world, body)


def test_an_event_of_the_next_hour_is_refused(world: World) -> None:
    assert_refused(world, {**CLICK, "event_time": int(time.time() * 1_000) + 3_600_000})


def assert_refused(world: World, body: Any) -> None:
    answer = post(world, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["reason"]
    assert world.kafka.acknowledged == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b'{"user_id": NaN}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"user_id":"\xff"}',
        b'{"user_id":"\\ud800","item_id":"i","type":"click"}',
        b'{"user_id":"u","item_id":"i","type":"rating","value":1e999}',
    ],
    ids=range(9),
)
def test_bytes_that_are_no_sound_json_are_refused(world: World, raw: bytes) -> None:
    answer = world.http.post(
        "/api/interactions", content=raw, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert world.kafka.acknowledged == []


def test_a_body_above_the_limit_is_refused_announced_or_chunked(world: World) -> None:
    big = b'{"user_id":"' + b"a" * (2 << 20) + b'"}'
    headers = {"content-type": "application/json"}
    chunks = (big[start : start + 65_536] for start in range(0, len(big), 65_536))
    for content in (big, chunks):
        answer = world.http.post("/api/interactions", content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


def test_compressed_and_foreign_bodies_are_refused(world: World) -> None:
    gzipped = {"content-type": "application/json", "content-encoding": "gzip"}
    assert world.http.post("/api/interactions", content=b"x", headers=gzipped).status_code == 415
    form = {"content-type": "text/plain"}
    assert world.http.post("/api/interactions", content=b"x", headers=form).status_code == 415


def test_a_profile_is_accepted_once_kafka_has_it(world: World) -> None:
    answer = world.http.put("/api/users/ann", json={"country": "NO"})
    assert answer.status_code == 202
    (message,) = world.kafka.acknowledged
    assert message.topic == "user-profile-updates"
    assert message.key == b"ann"
    assert getattr(decode_profile(message.value), "user_id", None) == "ann"


@pytest.mark.parametrize("body", [{"user_id": "bob"}, {"contry": "NO"}, {"consent": "yes"}, []])
def test_a_profile_that_does_not_fit_is_refused(world: World, body: Any) -> None:
    assert world.http.put("/api/users/ann", json=body).status_code == 422
    world.kafka.out = True
    assert world.http.put("/api/users/ann", json={}).status_code == 503


@pytest.mark.parametrize(
    ("kind", "kept_as"), [("like", "like"), ("dislike", "dislike"), ("not_interested", "remove")]
)
def test_feedback_is_an_interaction_of_the_right_type(
    world: World, kind: str, kept_as: str
) -> None:
    said = {"session_id": "s1", "item_id": "tea", "kind": kind, "event_id": "f1"}
    answer = world.http.post("/api/feedback", json=said)
    assert (answer.status_code, answer.json()["event_ids"]) == (202, ["f1"])
    (message,) = world.kafka.acknowledged
    event = decode_interaction(message.value, time.time_ns() // 1_000_000)
    assert isinstance(event, Interaction)
    assert (event.actor, event.item_id, event.type) == ("anon:s1", "tea", kept_as)


@pytest.mark.parametrize(
    "body",
    [
        [], {}, {"user_id": "ann", "item_id": "tea"}, {"item_id": "tea", "kind": "like"},
        {"user_id": "ann", "item_id": "tea", "kind": "view"},
        {"user_id": "anon:x", "item_id": "tea", "kind": "like"},
        {"user_id": "ann", "item_id": "tea", "kind": "like", "stars": 5},
    ],
    ids=str,
)  # fmt: skip
def test_feedback_that_does_not_fit_is_refused(world: World, body: Any) -> None:
    assert world.http.post("/api/feedback", json=body).status_code == 422
    assert world.kafka.acknowledged == []


@pytest.mark.parametrize("kind", ["dislike", "not_interested"])
def test_feedback_takes_effect_on_the_next_answer_before_the_stream_has_it(
    world: World, kind: str
) -> None:
    assert "milk" in ids(world.list_for("ann"))
    said = {"user_id": "ann", "item_id": "milk", "kind": kind}
    answer = world.http.post("/api/feedback", json=said).json()
    after = world.list_for("ann")
    assert "milk" not in ids(after)
    assert after["last_event_id"] == answer["event_ids"][0]
    world.http.post("/api/feedback", json={**said, "kind": "like"})
    assert "milk" in ids(world.list_for("ann"))


def test_an_event_of_the_stream_and_its_acceptance_are_one(world: World) -> None:
    said = {"user_id": "ann", "item_id": "milk", "kind": "like", "event_id": "f1"}
    world.http.post("/api/feedback", json=said)
    world.did("ann", Recent(NOW, "f1", "like", "milk", 1, 0, ""))
    events = world.http.get("/api/users/ann/history").json()["events"]
    assert [event["event_id"] for event in events] == ["f1"]


def test_feedback_without_a_store_is_accepted_and_says_that_it_will_take_a_moment(
    make: Make,
) -> None:
    world = make(hot=Broken(), kept=Broken())
    said = {"user_id": "ann", "item_id": "milk", "kind": "like"}
    answer = world.http.post("/api/feedback", json=said)
    assert (answer.status_code, answer.json()["degraded"]) == (202, ["stores"])
