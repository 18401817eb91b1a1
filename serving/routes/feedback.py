"""`POST /api/feedback`: what a person thinks of an item, as the interactions it means."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from feature_store.events import Identifier, InteractionType, anonymous
from feature_store.stores.base import Recent
from serving.answers import Accepted
from serving.body import Body, describe, parsed
from serving.parts import Running
from serving.routes.interactions import NewInteraction, accept
from serving.security import WRITE, Asking

router = APIRouter(prefix="/api", tags=["interactions"])

Kind = Literal["like", "dislike", "not_interested"]
#: What each kind of feedback is on the topic: "not interested" hides an item without hating it.
TYPES: Final[Mapping[Kind, InteractionType]] = {
    "like": "like",
    "dislike": "dislike",
    "not_interested": "remove",
}
EXAMPLE: Final = {"user_id": "718", "item_id": "1082185", "kind": "not_interested"}


class Feedback(BaseModel):
    """What a person, or an anonymous session, thinks of an item."""

    model_config = ConfigDict(extra="forbid", strict=True)
    user_id: Identifier | None = None
    session_id: Identifier | None = None
    item_id: Identifier
    kind: Annotated[Kind, Field(description="`not_interested` becomes a `remove`.")]
    event_id: Identifier | None = Field(None, description="Makes sending it again safe.")


@router.post(
    "/feedback",
    status_code=202,
    response_model=Accepted,
    dependencies=[WRITE],
    openapi_extra=describe(Feedback, batch=False, example=EXAMPLE),
)
def feedback(body: Body, parts: Running, asking: Asking) -> Response:
    """Accepts feedback; what was disliked or is not interesting leaves the next list already."""
    said = parsed(Feedback, body)
    now = time.time_ns() // 1_000_000
    message = NewInteraction(
        event_id=said.event_id or uuid.uuid4().hex,
        event_time=now,
        user_id=said.user_id,
        session_id=said.session_id,
        item_id=said.item_id,
        type=TYPES[said.kind],
    )
    answer = accept([message], parts, asking)
    actor = said.user_id or anonymous(said.session_id or "")
    recent = Recent(now, answer.event_ids[0], message.type, said.item_id, 1, 0, "")
    known = parts.features.accept(actor, recent)
    return answer.model_copy(update={"degraded": [] if known else ["stores"]}).response(202)
