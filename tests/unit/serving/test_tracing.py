"""A click can be followed: the request, its message in Kafka, the answer that knows of it."""

from __future__ import annotations

import io
import logging
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from kafka.errors import KafkaTimeoutError
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from feature_store.settings import Settings
from feature_store.stores.base import Recent
from serving.app import app_of
from serving.logs import LOGGER, JsonFormatter
from serving.parts import Parts
from serving.publisher import KafkaPublisher
from serving.tracing import context_of, current, provider, sending, trace_id_of
from tests.unit.serving.world import NOW, World

CLICK = {"event_id": "e1", "user_id": "ann", "item_id": "milk", "type": "click"}
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Producer:
    """Stands in for kafka-python's; remembers headers, and fails when told to."""

    def __init__(self) -> None:
        self.headers: list[list[tuple[str, bytes]]] = []
        self.out = False

    def send(self, _topic: str, _value: bytes, _key: bytes, headers: Any) -> Producer:
        self.headers.append(headers)
        return self

    def get(self, timeout: float) -> None:
        if self.out:
            raise KafkaTimeoutError(f"{timeout}")

    def close(self, timeout: float) -> None:
        """Nothing to release."""


class Traces:
    """The shop, traced; `spans` after it has closed."""

    def __init__(self, world: World) -> None:
        self.world, self.producer = world, Producer()
        publisher = KafkaPublisher(Settings(), 1_000, world.telemetry)
        publisher._prompt = publisher._patient = self.producer
        world.parts.outside.__dict__["publisher"] = publisher
        self.spans = InMemorySpanExporter()
        traced = app_of(world.parts, provider("", 1.0, self.spans))
        self.http = TestClient(traced, base_url="http://127.0.0.1")

    def named(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.spans.get_finished_spans() if span.name == name]
        return span


@pytest.fixture
def traces(world: World, monkeypatch: pytest.MonkeyPatch) -> Traces:
    monkeypatch.setattr(Parts, "start", lambda _: None)
    monkeypatch.setattr(Parts, "stop", lambda _: None)
    return Traces(world)


def test_a_click_its_message_and_the_answer_that_knows_it_are_linked(traces: Traces) -> None:
    with traces.http as http:
        sent = http.post("/api/interactions", json=CLICK, headers={"traceparent": CALLER})
        assert sent.status_code == 202
        traces.world.did("ann", Recent(NOW, "e1", "click", "milk", 1, 100, ""))
        assert http.get("/api/recommendations/ann").json()["last_event_id"] == "e1"
    request = traces.named("POST /api/interactions")
    event = traces.named("interaction")
    answer = traces.named("GET /api/recommendations/{user_id}")
    assert f"{request.context.trace_id:032x}" in CALLER
    assert event.context.trace_id == trace_id_of("e1")
    assert event.context.span_id == context_of("e1").span_id
    assert [link.context.trace_id for link in event.links] == [request.context.trace_id]
    assert [link.context.span_id for link in answer.links] == [event.context.span_id]
    assert answer.attributes["millrace.features_from"] == "redis"
    assert "millrace.step.features_ms" in answer.attributes
    ((name, header),) = traces.producer.headers[0]
    ids = f"00-{event.context.trace_id:032x}-{event.context.span_id:016x}"
    assert (name, header.decode().rpartition("-")[0]) == ("traceparent", ids)


def test_a_click_that_kafka_did_not_take_is_an_error_in_its_trace(traces: Traces) -> None:
    traces.producer.out = True
    with traces.http as http:
        assert http.post("/api/interactions", json=CLICK).status_code == 503
    assert not traces.named("interaction").status.is_ok
    assert not traces.named("POST /api/interactions").status.is_ok


def test_log_lines_of_a_request_name_the_request_and_its_trace(traces: Traces) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logging.getLogger(LOGGER).addHandler(handler)
    try:
        with traces.http as http:
            answer = http.get("/api/recommendations/ann", headers={"traceparent": CALLER})
    finally:
        logging.getLogger(LOGGER).removeHandler(handler)
    (line,) = [orjson.loads(one) for one in written.getvalue().splitlines() if '"request"' in one]
    assert line["request"] == answer.headers["x-request-id"]
    assert line["trace_id"] in CALLER


def test_switched_off_nothing_is_traced(world: World) -> None:
    assert world.list_for("ann")
    with sending(["e1", ""]) as headers:
        assert headers == [[], []]
    assert current() is None
