"""A collector of traces in the test's own process: OTLP over HTTP, in protobuf and in JSON."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = ("traceId", "spanId", "parentSpanId")


@dataclass(frozen=True)
class Span:
    """One span as it was sent; times are ns, ids are hex."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    attributes: dict[str, str]
    links: list[tuple[str, str]]


@dataclass
class Collector:
    """What was sent to `url` until it closed."""

    url: str
    spans: list[Span] = field(default_factory=list)
    close: Callable[[], None] = lambda: None

    def wait_for(self, wanted: Callable[[Span], bool], count: int = 1) -> list[Span]:
        """The spans that are wanted, as soon as there are so many."""
        deadline = time.monotonic() + 30
        while len(found := [span for span in self.spans if wanted(span)]) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count}: {self.spans[-20:]}"
            time.sleep(0.1)
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.spans += _spans(_read(self.headers["Content-Type"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}/v1/traces")
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    collector.close = close
    try:
        yield collector
    finally:
        close()


def _read(kind: str, body: bytes) -> Any:
    if kind != "application/json":
        return ExportTraceServiceRequest.FromString(body)
    return ParseDict(json.loads(body, object_hook=_with_base64), ExportTraceServiceRequest())


def _with_base64(said: dict[str, Any]) -> dict[str, Any]:
    """OTLP spells ids in hex, where the JSON of protobuf has base64."""
    ids = {name: base64.b64encode(bytes.fromhex(said[name])) for name in IDS if name in said}
    return said | {name: spelled.decode() for name, spelled in ids.items()}


def _spans(request: Any) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = _attributes(resource.resource)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    service,
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span),
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                )


def _attributes(of: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in of.attributes}
