"""Health for orchestrators, metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from serving.answers import Health
from serving.parts import Running
from serving.problems import response
from serving.security import PUBLIC, WHOLE
from serving.status import StatusAnswer, status_of

router = APIRouter(tags=["operations"])


@router.get("/health/live", response_model=Health, dependencies=[PUBLIC])
def live() -> Response:
    """200 while the process works, whatever is down around it."""
    return Health(status="live").response()


@router.get("/health/ready", response_model=Health, dependencies=[PUBLIC])
def ready(parts: Running) -> Response:
    """200 with a bundle in memory; stores may be out, the answers then say so."""
    if parts.drain.begun:
        return response(503, "Not ready: this process is ending.", {"Retry-After": "5"})
    if not parts.needs("champion"):
        return Health(status="ready").response()
    champion = parts.champion
    if champion.live is None:
        return response(503, f"Not ready: {champion.reason}.", {"Retry-After": "5"})
    fresh = {"trending": parts.trending.fresh, "item_features": parts.items.complete}
    degraded = [name for name, good in fresh.items() if not good]
    return Health(status="ready", bundle=champion.live.bundle.id, degraded=degraded).response()


@router.get("/api/status", response_model=StatusAnswer, dependencies=[WHOLE])
def status(parts: Running) -> Response:
    """Which parts answer, how fresh things are, what waits for somebody."""
    return status_of(parts).response()


@router.get("/metrics", include_in_schema=False, dependencies=[WHOLE])
def metrics(parts: Running) -> Response:
    """What Prometheus scrapes."""
    return Response(parts.telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)
