"""The storefront and the status page: static files, no build step."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse

from serving.problems import Problem
from serving.security import PUBLIC

router = APIRouter(include_in_schema=False)

WEB: Final = Path(__file__).parent.parent / "web"
#: The files there are, by name: nothing else under this path can be asked for.
FILES: Final = {path.name: path for path in WEB.iterdir() if path.is_file()}
HEADERS: Final = {"Cache-Control": "no-cache"}


@router.get("/", dependencies=[PUBLIC])
def store() -> FileResponse:
    """The storefront."""
    return FileResponse(FILES["index.html"], headers=HEADERS)


@router.get("/status", dependencies=[PUBLIC])
def status() -> FileResponse:
    """The status page."""
    return FileResponse(FILES["status.html"], headers=HEADERS)


@router.get("/web/{name}", dependencies=[PUBLIC])
def file(name: str) -> FileResponse:
    """A file that a page is made of."""
    if name not in FILES:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such file.")
    return FileResponse(FILES[name], headers=HEADERS)
