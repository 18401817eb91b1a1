"""Keeps an encoded slash inside its path segment, so that an id may hold one.

Servers hand over the decoded path, in which `/items/a%2Fb` and `/items/a/b` are the same. Here the
path is decoded again, segment by segment, with a stand-in for `%2F` that no client can send: a lone
surrogate never comes out of decoding UTF-8.
"""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import unquote

from fastapi import Path
from pydantic import BeforeValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from feature_store.events import Identifier

STAND_IN: Final = "\udc2f"
ENCODED: Final = re.compile("%2f", re.IGNORECASE)


def restore(said: object) -> object:
    """A path parameter with its slashes back."""
    return said.replace(STAND_IN, "/") if isinstance(said, str) else said


#: An id as a segment of a path.
PathId = Annotated[Identifier, BeforeValidator(restore)]
ItemId = Annotated[PathId, Path(examples=["1082185"])]


class Segments:
    """Routes by segments as they were sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2" in raw:
            parts = ENCODED.split(raw.decode("latin-1"))
            # A copy, because the server may still want to write the path somewhere.
            scope = {**scope, "path": STAND_IN.join(map(unquote, parts))}
        await self._app(scope, receive, send)
