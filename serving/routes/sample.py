"""`GET /api/users`: some users with a history, to try the API with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from serving.answers import UserSample
from serving.parts import Running
from serving.security import WHOLE

router = APIRouter(prefix="/api", tags=["users"])


@router.get("/users", response_model=UserSample, dependencies=[WHOLE])
def sample(
    parts: Running, limit: Annotated[int, Query(ge=1, le=100, examples=[5])] = 20
) -> Response:
    """Some users with a history, the same until the next bundle."""
    live = parts.champion.live
    return UserSample(
        users=parts.people.sample(live.bundle.sources.own, limit) if live else []
    ).response()
