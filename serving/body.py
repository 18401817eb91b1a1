"""Request bodies as bytes, so that they meet the same decoder as the messages on the topics."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from serving.problems import Problem, field_errors, invalid

M = TypeVar("M", bound=BaseModel)


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        detail = "Send JSON with Content-Type: application/json."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    return await request.body()


#: The bytes of a JSON body.
Body = Annotated[bytes, Depends(_body)]


def parsed(model: type[M], body: bytes) -> M:
    """What a body says; raises the 422 of one that does not fit."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise invalid(field_errors(list(error.errors(include_input=False)))) from None


def describe(*models: type[BaseModel], batch: bool, example: Any) -> dict[str, Any]:
    """OpenAPI's description of a body that is read as bytes."""
    schemas = [_whole(model.model_json_schema()) for model in models]
    if batch:
        schemas += [{"type": "array", "items": schema, "minItems": 1} for schema in schemas]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its definitions in place: inside OpenAPI, its references lead nowhere."""
    definitions = schema.pop("$defs", {})

    def placed(part: Any) -> Any:
        if isinstance(part, list):
            return [placed(one) for one in part]
        if not isinstance(part, dict):
            return part
        if name := str(part.get("$ref", "")).removeprefix("#/$defs/"):
            rest = {key: value for key, value in part.items() if key != "$ref"}
            return placed(definitions[name]) | rest
        return {key: placed(value) for key, value in part.items()}

    found: dict[str, Any] = placed(schema)
    return found
