"""The storefront page: three static files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)

WEB: Final = Path(__file__).parent.parent / "web"
#: The page needs nothing from anywhere else, and may not be put in a frame.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-cache",
}


@router.get("/")
def index() -> FileResponse:
    """The page."""
    return FileResponse(WEB / "index.html", headers=HEADERS)


@router.get("/app.js")
def script() -> FileResponse:
    """Its behaviour."""
    return FileResponse(WEB / "app.js", headers=HEADERS)


@router.get("/style.css")
def style() -> FileResponse:
    """Its looks."""
    return FileResponse(WEB / "style.css", headers=HEADERS)
