"""The engineer's way with dead letters: count them, look at one, repair it, send it again."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import orjson
import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from feature_store.settings import Settings
from infra.cli import app
from infra.stack.stack import Stack
from serving.letters import KafkaLetters
from tests.builders import view
from tests.kafka_log import read_log

TOPIC = "user-interactions"
NOW = time.time_ns() // 1_000_000


@pytest.fixture
def shop(stack: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The test's namespace, as a person's shell names it."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MILLRACE_HOME", str(stack.home.root))
    monkeypatch.setenv("MILLRACE_NAMESPACE", settings.namespace)
    return stack.settings()


def refuse(settings: Settings, body: bytes, key: bytes | None, reason: str, times: int = 1) -> str:
    """Send a message and, as the stream does, a letter about it; returns its position."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    sent = producer.send(settings.topic(TOPIC), body, key).get(10)
    letter = {
        "topic": TOPIC, "partition": sent.partition, "offset": sent.offset,
        "append_time": sent.timestamp, "reason": reason, "body": base64.b64encode(body).decode(),
    }  # fmt: skip
    for _ in range(times):
        producer.send(settings.topic(f"{TOPIC}-dlt"), orjson.dumps(letter))
    producer.close()
    return f"{TOPIC}:{sent.partition}:{sent.offset}"


def dlt(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["dlt", *arguments])


def test_letters_are_counted_by_reason_and_each_once(shop: Settings) -> None:
    refuse(shop, b"{", b"ann", "json: not valid JSON", times=2)
    refuse(shop, b"[", b"bob", "json: not valid JSON")
    refuse(shop, b"{}", b"bob", "event_id: missing")
    lines = dlt("list").stdout.splitlines()[1:]
    assert [line.split()[:-4] for line in lines] == [
        [TOPIC, "event_id:", "missing", "1"],
        [TOPIC, "json:", "not", "valid", "JSON", "2"],
    ]


def test_the_status_page_counts_the_letters_of_each_topic(shop: Settings) -> None:
    refuse(shop, b"{", b"ann", "json: not valid JSON")
    refuse(shop, b"[", b"bob", "json: not valid JSON")
    assert KafkaLetters(shop).count() == {
        "user-interactions-dlt": 2, "item-metadata-dlt": 0, "user-profile-updates-dlt": 0,
    }  # fmt: skip


def test_nothing_refused_is_said_so(shop: Settings) -> None:
    assert dlt("list").stdout == "No message was refused.\n"


def test_a_letter_is_shown_with_its_body_as_it_came(shop: Settings) -> None:
    shown = dlt("show", refuse(shop, b'{"broken', b"ann", "json: not valid JSON"))
    assert '{"broken' in shown.output
    assert "reason: json: not valid JSON" in shown.output
    assert "key: ann" in shown.output


def test_what_is_still_refused_is_not_sent_again(shop: Settings) -> None:
    position = refuse(shop, b"{", b"ann", "json: not valid JSON")
    done = dlt("replay", position)
    assert done.exit_code == 1
    assert f"{position} stays: json: not valid JSON" in done.stdout
    assert len(read_log(shop, TOPIC)) == 1


def test_a_repaired_letter_goes_to_its_topic_with_its_key(shop: Settings, tmp_path: Path) -> None:
    repaired = tmp_path / "repaired.json"
    repaired.write_bytes(orjson.dumps(view("ann", "milk", at=NOW).body))
    position = refuse(shop, b"{", b"ann", "json: not valid JSON")
    assert dlt("replay", position, "--from-file", str(repaired), "--dry-run").exit_code == 0
    assert len(read_log(shop, TOPIC)) == 1
    assert dlt("replay", position, "--from-file", str(repaired)).exit_code == 0
    refused, sent = read_log(shop, TOPIC)
    assert sent.value == repaired.read_bytes()
    assert sent.partition == refused.partition


def test_letters_of_one_reason_are_sent_again_together_as_they_were(shop: Settings) -> None:
    early = [orjson.dumps(view(user, "milk", at=NOW).body) for user in ("ann", "bob")]
    for body in early:
        refuse(shop, body, None, "event_time: from the future")
    refuse(shop, b"{", b"eve", "json: not valid JSON")
    assert dlt("replay", "--reason", "event_time: from the future").exit_code == 0
    sent = [message.value for message in read_log(shop, TOPIC)]
    assert sorted(body for body in sent if body != b"{") == sorted(early * 2)


def test_an_event_that_is_late_by_now_stays(shop: Settings) -> None:
    body = orjson.dumps(view("ann", "milk", at=NOW - 2 * shop.horizon_ms).body)
    done = dlt("replay", refuse(shop, body, b"ann", "json: not valid JSON"))
    assert "stays: late" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["nowhere:0:0"]])
def test_choosing_nothing_says_how_to_choose(shop: Settings, arguments: list[str]) -> None:
    refused = dlt("replay", *arguments)
    assert refused.exit_code == 1
    assert "letter" in str(refused.exception)
