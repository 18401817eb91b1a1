"""`/api/admin/rules`: what the shop pins, boosts and blocks."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

from feature_store.stores.base import StoreUnavailable
from serving.answers import RulesAnswer
from serving.body import Body, describe, parsed
from serving.curation import Curated
from serving.parts import Running
from serving.problems import Problem
from serving.security import ADMIN

router = APIRouter(prefix="/api/admin", tags=["administration"])

RETRY_AFTER_S: Final = 2
EXAMPLE: Final = {"pinned": ["1082185"], "boosted": {"995242": 5}, "blocked": []}


@router.get("/rules", response_model=RulesAnswer, dependencies=[ADMIN])
def rules(parts: Running) -> Response:
    """The rules that hold now, in this process."""
    return _answer(parts, []).response()


@router.put(
    "/rules",
    response_model=RulesAnswer,
    dependencies=[ADMIN],
    openapi_extra=describe(Curated, batch=False, example=EXAMPLE),
)
def put_rules(body: Body, parts: Running) -> Response:
    """Replaces the rules: here at once, in every process within about a second."""
    curated = parsed(Curated, body)
    try:
        failed = parts.curation.replace(curated)
    except StoreUnavailable as error:
        detail = f"Nothing was changed: {error}."
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after_s=RETRY_AFTER_S) from None
    return _answer(parts, list(failed)).response()


def _answer(parts: Running, degraded: list[str]) -> RulesAnswer:
    said = parts.curation.now.model_dump()
    changed = parts.curation.changed_at or None
    return RulesAnswer(**said, changed_at=changed, degraded=degraded)
