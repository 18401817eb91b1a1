"""The API described: for programs as OpenAPI, for people as a page that needs no other server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from serving.security import PUBLIC

router = APIRouter(include_in_schema=False)

WEB: Final = Path(__file__).parent.parent / "web"
HEADERS: Final = {"Cache-Control": "no-cache"}


@router.get("/openapi.json", dependencies=[PUBLIC])
def openapi(request: Request) -> Response:
    """OpenAPI 3.1."""
    described: dict[str, Any] = request.app.openapi()
    return Response(orjson.dumps(described), media_type="application/json", headers=HEADERS)


@router.get("/docs", dependencies=[PUBLIC])
def page() -> FileResponse:
    """The page that reads it."""
    return FileResponse(WEB / "docs.html", headers=HEADERS)


@router.get("/docs.js", dependencies=[PUBLIC])
def script() -> FileResponse:
    """Its behaviour."""
    return FileResponse(WEB / "docs.js", headers=HEADERS)


@router.get("/docs.css", dependencies=[PUBLIC])
def style() -> FileResponse:
    """Its looks."""
    return FileResponse(WEB / "docs.css", headers=HEADERS)
