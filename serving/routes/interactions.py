"""`POST /api/interactions`: what people do. 202 means that Kafka has it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import ConfigDict, TypeAdapter, ValidationError

from feature_store.events import (
    Identifier,
    InteractionMessage,
    InvalidEvent,
    Milliseconds,
    decode_interaction,
)
from feature_store.topics import INTERACTIONS
from serving.answers import Accepted
from serving.body import Body, describe
from serving.parts import Parts, Running
from serving.problems import FieldError, Problem, field_errors, invalid
from serving.publisher import KafkaUnavailable, Outgoing
from serving.security import WRITE, Asking, Caller

router = APIRouter(prefix="/api", tags=["interactions"])

MAX_BATCH: Final = 500
RETRY_AFTER_S: Final = 2


class NewInteraction(InteractionMessage):
    """An interaction as an app sends it. Unknown fields are refused here, so that typos show."""

    model_config = ConfigDict(extra="forbid")
    event_id: Identifier | None = None  # type: ignore[assignment]
    event_time: Milliseconds | None = None  # type: ignore[assignment]


ONE: Final = TypeAdapter(NewInteraction)
MANY: Final = TypeAdapter(list[NewInteraction])
EXAMPLE: Final = {"user_id": "718", "item_id": "1082185", "type": "click"}


@router.post(
    "/interactions",
    status_code=202,
    response_model=Accepted,
    dependencies=[WRITE],
    openapi_extra=describe(NewInteraction, batch=True, example=EXAMPLE),
)
def interactions(body: Body, parts: Running, asking: Asking) -> Response:
    """Accepts one interaction, or a list of up to 500: all of them or none.

    `event_id` and `event_time` are filled in when absent. Sending the same `event_id` again is
    safe; after a 503 do so with the `event_ids` of the answer.
    """
    return accept(_parse(body), parts, asking).response(202)


def accept(said: Sequence[NewInteraction], parts: Parts, asking: Caller) -> Accepted:
    """All of them once Kafka has them; raises a 403, 422 or 503 `Problem` for none of them."""
    now = time.time_ns() // 1_000_000
    messages = [_complete(message, now) for message in said]
    outgoing = [_checked(message, now, place) for place, message in enumerate(messages)]
    for one in outgoing:
        asking.must_be(one.key.decode())
    event_ids = [str(message["event_id"]) for message in messages]
    try:
        parts.outside.publisher.publish(outgoing)
    except KafkaUnavailable:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Kafka did not acknowledge in time. Send the same again with these event_ids.",
            retry_after_s=RETRY_AFTER_S,
            event_ids=event_ids,
        ) from None
    return Accepted(accepted=len(outgoing), event_ids=event_ids)


def _parse(body: bytes) -> list[NewInteraction]:
    try:
        if not body.lstrip().startswith(b"["):
            return [ONE.validate_json(body)]
        messages = MANY.validate_json(body)
    except ValidationError as error:
        raise invalid(field_errors(list(error.errors(include_input=False)))) from None
    if not 1 <= len(messages) <= MAX_BATCH:
        raise invalid([FieldError(field="body", reason=f"Send 1 to {MAX_BATCH} interactions.")])
    return messages


def _complete(message: NewInteraction, now: int) -> dict[str, Any]:
    said = message.model_dump(exclude_none=True, exclude_defaults=True)
    return {"event_id": uuid.uuid4().hex, "event_time": now, **said, "schema_version": 1}


def _checked(message: dict[str, Any], now: int, place: int) -> Outgoing:
    """The message, once the decoder of the stream accepts it: it is never dead-lettered later."""
    value = orjson.dumps(message)
    event = decode_interaction(value, now)
    if isinstance(event, InvalidEvent):
        raise invalid([FieldError(field=f"body.{place}", reason=event.reason)])
    return Outgoing(INTERACTIONS.name, event.actor.encode(), value, event.event_id)
