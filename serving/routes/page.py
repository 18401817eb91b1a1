"""The storefront page: three static files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse

from serving.security import PUBLIC

router = APIRouter(include_in_schema=False)

WEB: Final = Path(__file__).parent.parent / "web"
HEADERS: Final = {"Cache-Control": "no-cache"}


@router.get("/", dependencies=[PUBLIC])
def index() -> FileResponse:
    """The page."""
    return FileResponse(WEB / "index.html", headers=HEADERS)


@router.get("/app.js", dependencies=[PUBLIC])
def script() -> FileResponse:
    """Its behaviour."""
    return FileResponse(WEB / "app.js", headers=HEADERS)


@router.get("/style.css", dependencies=[PUBLIC])
def style() -> FileResponse:
    """Its looks."""
    return FileResponse(WEB / "style.css", headers=HEADERS)
