"""The app: `uvicorn --factory serving.app:create_app`. Wiring only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from starlette.middleware.cors import CORSMiddleware
from threadpoolctl import threadpool_limits

from feature_store.declaration import load
from feature_store.settings import Settings
from serving import logs, problems
from serving.admission import Admission, refuse
from serving.connect import connect
from serving.drain import Closing
from serving.middleware import Bounds, Caught, Observed
from serving.parts import Parts
from serving.routes import routers
from serving.segments import Segments
from serving.settings import ServingSettings
from serving.telemetry import Telemetry
from serving.tracing import Traced, provider

DESCRIPTION = """
Recommendations that take the last click into account, say where each item came from and why, and
keep coming when a store is out. Errors are `application/problem+json` (RFC 9457).
"""

PROBLEM: Final[dict[str, Any]] = {"content": {problems.MEDIA_TYPE: {}}}
#: What a caller that is refused for now is told besides.
LATER: Final[dict[str, Any]] = {
    "model": problems.ProblemDetails,
    "headers": {
        "Retry-After": {
            "description": "Seconds after which to try again.",
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}


def create_app() -> FastAPI:
    """The app of one process, configured by its environment."""
    # Requests run side by side already; BLAS threads on top of them were measured to double the
    # CPU of a request, and to multiply its time on a busy machine.
    threadpool_limits(1, "blas")
    counts = os.environ.get("PROMETHEUS_MULTIPROC_DIR")  # prometheus_client's own name for it
    telemetry = Telemetry(Path(counts) if counts else None)
    settings, rules = Settings(), ServingSettings()
    outside = connect(settings, rules, telemetry)
    traces = provider(settings.traces, rules.traces_share) if settings.traces else None
    return app_of(Parts.assemble(load(settings.features), rules, telemetry, outside), traces)


def app_of(parts: Parts, traces: TracerProvider | None = None) -> FastAPI:
    """The app over given parts, which start and stop with it, as do the `traces`, if any."""
    logs.configure()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.start()
        parts.drain.watch(asyncio.get_running_loop())
        yield
        parts.stop()
        if traces:
            traces.shutdown()

    app = FastAPI(
        title="Millrace",
        description=DESCRIPTION,
        version=version("millrace"),
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,  # `routes/docs.py` serves both, with a policy and without another server
        responses={
            **{code: {"model": problems.ProblemDetails, **PROBLEM} for code in ("4XX", "5XX")},
            **{code: {**PROBLEM, **LATER} for code in (429, 503)},
        },
    )
    app.state.parts = parts
    problems.install(app)
    for router in routers(parts.rules.only):
        app.include_router(router)
    _surround(app, parts.rules, parts.telemetry)
    if traces:
        app.add_middleware(Traced, provider=traces)
    app.add_middleware(Closing, drain=parts.drain)
    return app


def _surround(app: FastAPI, rules: ServingSettings, telemetry: Telemetry) -> None:
    """What happens around every request, from the inside to the outside."""
    app.add_middleware(
        Bounds,
        head_bytes=rules.max_head_bytes,
        body_bytes=rules.max_body_bytes,
        body_deadline_s=rules.body_deadline_s,
    )
    app.add_middleware(Caught)
    if rules.cors:
        app.add_middleware(CORSMiddleware, **_cors(rules))
    app.add_middleware(Observed, telemetry=telemetry)
    app.add_middleware(Segments)
    app.add_middleware(
        Admission,
        slots=rules.slots,
        queue=rules.queue,
        patience_ms=rules.queue_ms,
        telemetry=telemetry,
        # Outside of all others, it has to say by itself which pages may read it.
        refusal=CORSMiddleware(refuse, **_cors(rules)) if rules.cors else refuse,
    )


def _cors(rules: ServingSettings) -> dict[str, Any]:
    return {
        "allow_origins": sorted(rules.cors),
        "allow_methods": ["GET", "POST", "PUT"],
        "allow_headers": ["Authorization", "Content-Type"],
        "expose_headers": ["Retry-After", "X-Request-ID"],
    }
