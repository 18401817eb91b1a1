"""The names that other designs of this platform use, for the same handlers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

ALIASES: Final[Mapping[str, str]] = {
    "/api/products": "/api/items",
    "/api/products/{item_id}": "/api/items/{item_id}",
    "/recommendations/{user_id}": "/api/recommendations/{user_id}",
    "/users/{user_id}": "/api/users/{user_id}",
    "/items/{item_id}": "/api/items/{item_id}",
    "/interactions": "/api/interactions",
}


def aliases(routers: Iterable[APIRouter]) -> APIRouter:
    """Every alias of a route that is there: same handler, same policy, another name."""
    made = APIRouter(tags=["other names"])
    routes = [r for router in routers for r in router.routes if isinstance(r, APIRoute)]
    for alias, path in ALIASES.items():
        for route in (route for route in routes if route.path == path):
            made.add_api_route(
                alias,
                route.endpoint,
                methods=sorted(route.methods or ()),
                response_model=route.response_model,
                status_code=route.status_code,
                dependencies=route.dependencies,
                summary=f"The same as {path}",
                openapi_extra=route.openapi_extra,
            )
    return made
