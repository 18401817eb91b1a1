"""Errors as RFC 9457 `application/problem+json`: what happened and what to do, never a trace."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE: Final = "application/problem+json"


class FieldError(BaseModel):
    """One complaint about one field."""

    field: str = Field(examples=["query.limit"])
    reason: str = Field(examples=["Input should be less than or equal to 100"])


class ProblemDetails(BaseModel):
    """The body of every error."""

    type: str = Field("about:blank", description="A URI that names the kind of problem.")
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["The request was not understood: see `errors`."])
    errors: list[FieldError] | None = None


class Problem(Exception):
    """A refusal with a status, a reason and, for 503 and 429, when to try again."""

    def __init__(
        self, status: HTTPStatus, detail: str, *, retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None, **more: Any,
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)
        self.more = more


def invalid(errors: list[FieldError]) -> Problem:
    """The 422 for input that does not fit its contract."""
    said = [error.model_dump() for error in errors]
    detail = "The request was not understood: see `errors`."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=said)


def field_errors(raised: list[Any]) -> list[FieldError]:
    """Pydantic's complaints, without the offending values (they may be personal)."""
    return [
        FieldError(field=".".join(str(part) for part in error["loc"]), reason=error["msg"])
        for error in raised[:20]
    ]


def body(status: int, detail: str, **more: Any) -> bytes:
    """A problem as JSON."""
    title = HTTPStatus(status).phrase
    return orjson.dumps(
        {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    )


def response(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A problem as an HTTP answer."""
    return Response(body(status, detail, **more), status, dict(headers or {}), MEDIA_TYPE)


def unexpected() -> Response:
    """What a caller is told of a bug."""
    return response(500, "Something broke on our side; it was logged.")


def install(app: FastAPI) -> None:
    """Makes every error of the app a problem."""

    @app.exception_handler(Problem)
    def _problem(_: Request, error: Problem) -> Response:
        return response(error.status, error.detail, error.headers, **error.more)

    @app.exception_handler(RequestValidationError)
    def _validation(request: Request, error: RequestValidationError) -> Response:
        return _problem(request, invalid(field_errors(list(error.errors()))))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        wrong_method = error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
        headers = {"Allow": _allowed(request)} if wrong_method else error.headers
        return response(error.status_code, str(error.detail), headers)

    @app.exception_handler(Exception)
    def _unexpected(_: Request, __: Exception) -> Response:
        return unexpected()


def _allowed(request: Request) -> str:
    """The methods of a path: the router names those of one route, and a path may have several."""
    path = request.scope["route"].path
    routes = [route for route in iter_route_contexts(request.app.routes) if route.path == path]
    return ", ".join(sorted({method for route in routes for method in route.methods or ()}))
