"""OpenTelemetry traces, if an endpoint is set: a click, its message, the answer it changed.

The header of the message carries the event's trace to the stream, whose sinks add the span of the
written feature (`streaming/jvm`, `Spans`). A store keeps no context, so from there on it is the
event id: the trace of an event is named after it, and an answer links to the trace of the newest
event that it knows of. Whoever has an event id can compute its trace id: `trace_id_of`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[str, bytes]

PARENTS: Final = TraceContextTextMapPropagator()
#: The event whose trace is being begun.
_EVENT: ContextVar[str | None] = ContextVar("event", default=None)
#: The tracer of the request at hand; None where nothing is traced.
_TRACER: ContextVar[trace.Tracer | None] = ContextVar("tracer", default=None)


def trace_id_of(event_id: str) -> int:
    """The id of an event's trace: 128 bits of a hash of its id."""
    return int.from_bytes(_hash(event_id)[:16], "big")


def context_of(event_id: str) -> SpanContext:
    """Where an event was accepted, whichever process did it."""
    span_id = int.from_bytes(_hash(event_id)[16:], "big")
    return SpanContext(trace_id_of(event_id), span_id, True, TraceFlags(TraceFlags.SAMPLED))


def _hash(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode(errors="replace"), digest_size=24).digest()


class _Ids(RandomIdGenerator):
    """Random ids, but for the trace that an event begins."""

    def generate_trace_id(self) -> int:
        event_id = _EVENT.get()
        return super().generate_trace_id() if event_id is None else trace_id_of(event_id)

    def generate_span_id(self) -> int:
        event_id = _EVENT.get()
        return super().generate_span_id() if event_id is None else context_of(event_id).span_id


def provider(endpoint: str, share: float, exporter: SpanExporter | None = None) -> TracerProvider:
    """Sends a `share` of the traces to an OTLP/HTTP `endpoint` in the background.

    A collector that is out costs spans, never answers. `exporter` stands in for it in tests.
    """
    sends = exporter or OTLPSpanExporter(endpoint=endpoint, timeout=2)
    made = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(share)),
        resource=Resource.create({"service.name": "millrace-serving"}),
        id_generator=_Ids(),
    )
    made.add_span_processor(BatchSpanProcessor(sends))
    return made


class Traced:
    """A span around every request, below the caller's own if it sends a `traceparent`."""

    def __init__(self, app: ASGIApp, provider: TracerProvider) -> None:
        self._app = app
        self._tracer = provider.get_tracer("serving")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carrier = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        parent, method = PARENTS.extract(carrier), scope["method"]
        with self._tracer.start_as_current_span(method, parent, SpanKind.SERVER) as span:
            token = _TRACER.set(self._tracer)
            try:
                await self._app(scope, receive, _watched(send, span))
            finally:
                _TRACER.reset(token)
                route = getattr(scope.get("route"), "path", "unmatched")
                span.update_name(f"{method} {route}")
                span.set_attributes({"http.request.method": method, "http.route": route})


def _watched(send: Send, span: Span) -> Send:
    async def watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            if message["status"] >= 500:
                span.set_status(StatusCode.ERROR)
        await send(message)

    return watched


@contextmanager
def sending(event_ids: Sequence[str]) -> Iterator[list[list[Header]]]:
    """The Kafka headers of each message; an event's own trace lasts until Kafka has it.

    Without a traced request the lists are empty. "" is the id of what is no event.
    """
    tracer = _TRACER.get()
    if tracer is None:
        yield [[] for _ in event_ids]
        return
    request = trace.get_current_span()
    spans = [_accepted(tracer, event_id, request) for event_id in event_ids]
    try:
        yield [_headers(span) for span in spans]
    except Exception as error:
        for span in spans:
            span.set_status(StatusCode.ERROR, repr(error))
        raise
    finally:
        for span in spans:
            if span is not request:
                span.end()


def _accepted(tracer: trace.Tracer, event_id: str, request: Span) -> Span:
    if not event_id:
        return request
    token = _EVENT.set(event_id)
    try:
        return tracer.start_span(
            "interaction",
            Context(),
            SpanKind.PRODUCER,
            {"millrace.event_id": event_id},
            [Link(request.get_span_context())],
        )
    finally:
        _EVENT.reset(token)


def _headers(span: Span) -> list[Header]:
    carrier: dict[str, str] = {}
    PARENTS.inject(carrier, trace.set_span_in_context(span, Context()))
    return [(name, value.encode()) for name, value in carrier.items()]


def tell(last_event_id: str | None, facts: MutableMapping[str, Any]) -> None:
    """Writes onto the request's span what its answer was made of; links the newest event's trace.

    `facts` are attributes by name; None is left out.
    """
    span = trace.get_current_span()
    if not span.is_recording():
        return
    for name, value in facts.items():
        if value is not None:
            span.set_attribute(f"millrace.{name}", value)
    if last_event_id:
        span.set_attribute("millrace.last_event_id", last_event_id)
        span.add_link(context_of(last_event_id))


def current() -> str | None:
    """The id of the trace at hand, in hex, for log lines."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None
