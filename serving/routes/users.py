"""`/api/users`: what is known about a user, telling us who a user is, some users to try."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from feature_store.events import (
    Identifier,
    InteractionType,
    InvalidEvent,
    ProfileMessage,
    decode_profile,
)
from feature_store.topics import PROFILES
from serving.answers import Accepted, History, UserAnswer, UserEvent
from serving.body import Body, describe, parsed
from serving.features import Features
from serving.parts import Parts, Running
from serving.problems import FieldError, Problem, invalid
from serving.publisher import KafkaUnavailable, Outgoing
from serving.security import READ, WRITE
from serving.segments import PathId

router = APIRouter(prefix="/api", tags=["users"])

RETRY_AFTER_S: Final = 2
EXAMPLE: Final = {"country": "NO", "age_band": "35-44", "preferred_categories": ["PRODUCE"]}


class NewProfile(ProfileMessage):
    """A profile as an app sends it; the user is named by the path."""

    model_config = ConfigDict(extra="forbid")
    user_id: Identifier | None = None  # type: ignore[assignment]


class Page(BaseModel):
    """Which part of a history."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(50, ge=1, le=200, examples=[5])
    type: InteractionType | None = Field(None, description="Only this kind.")
    cursor: str | None = Field(
        None,
        pattern=r"^[0-9]{1,15}:[^\x00-\x1f\x7f]{1,256}$",
        description="Of the page before.",
        examples=["1700000000000:e1"],
    )


@router.get("/users/{user_id}", response_model=UserAnswer, dependencies=[READ])
def user(user_id: PathId, parts: Running) -> Response:
    """Profile and last interactions. 404 when no store knows the user."""
    known = _known(user_id, parts)
    return UserAnswer(
        user_id=user_id,
        profile=dict(known.user.profile) if known.user.profile else None,
        recents=_events(known.user.recents[:50], parts),
        features_from=known.store or None,
        degraded=list(known.failed),
    ).response()


@router.get("/users/{user_id}/history", response_model=History, dependencies=[READ])
def history(user_id: PathId, wanted: Annotated[Page, Query()], parts: Running) -> Response:
    """What a user did lately, newest first: as much as the stores keep for the next request."""
    known = _known(user_id, parts)
    before = _place(wanted.cursor) if wanted.cursor else None
    events = [
        recent
        for recent in known.user.recents
        if (before is None or (recent.event_time, recent.event_id) < before)
        and wanted.type in (None, recent.type)
    ]
    page, rest = events[: wanted.limit], events[wanted.limit :]
    return History(
        user_id=user_id,
        events=_events(page, parts),
        features_from=known.store or None,
        next_cursor=f"{page[-1].event_time}:{page[-1].event_id}" if rest else None,
        degraded=list(known.failed),
    ).response()


@router.put(
    "/users/{user_id}",
    status_code=202,
    response_model=Accepted,
    dependencies=[WRITE],
    openapi_extra=describe(NewProfile, batch=False, example=EXAMPLE),
)
def put_user(user_id: PathId, body: Body, parts: Running) -> Response:
    """Replaces a user's profile once the stream has it; 202 means that Kafka has it."""
    message = _message(user_id, body)
    value = orjson.dumps(message)
    profile = decode_profile(value)
    if isinstance(profile, InvalidEvent):
        raise invalid([FieldError(field="body", reason=profile.reason)])
    try:
        parts.outside.publisher.publish([Outgoing(PROFILES.name, user_id.encode(), value)])
    except KafkaUnavailable:
        detail = "Kafka did not acknowledge in time. Send the same again."
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after_s=RETRY_AFTER_S) from None
    return Accepted(accepted=1, event_ids=[]).response(202)


def _known(user_id: str, parts: Parts) -> Features:
    known = parts.features.read(user_id)
    if known.user.profile is None and not known.user.recents and not known.failed:
        raise Problem(HTTPStatus.NOT_FOUND, "Nothing is known about this user.")
    return known


def _place(cursor: str) -> tuple[int, str]:
    event_time, _, event_id = cursor.partition(":")
    return int(event_time), event_id


def _message(user_id: str, body: bytes) -> dict[str, Any]:
    said = parsed(NewProfile, body)
    if said.user_id not in (None, user_id):
        raise invalid([FieldError(field="body.user_id", reason="differs from the path")])
    return {**said.model_dump(exclude_none=True), "user_id": user_id}


def _events(recents: Any, parts: Parts) -> list[UserEvent]:
    return [
        UserEvent(
            event_id=recent.event_id,
            type=recent.type,
            item_id=recent.item_id,
            title=card.title if (card := parts.catalogue.get(recent.item_id)) else None,
            event_time=recent.event_time,
        )
        for recent in recents
    ]
