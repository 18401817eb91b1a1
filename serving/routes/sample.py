"""`GET /api/users`: some users with a history, to try the API with."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import Response

from feature_store.events import ANONYMOUS
from models.own import OwnHistory
from serving.answers import UserSample
from serving.parts import Running
from serving.security import WHOLE

router = APIRouter(prefix="/api", tags=["users"])


@router.get("/users", response_model=UserSample, dependencies=[WHOLE])
def sample(parts: Running, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Response:
    """Some users with a history, the same until the next bundle."""
    live = parts.champion.live
    return UserSample(users=_spread(live.bundle.sources.own, limit) if live else []).response()


def _spread(own: OwnHistory, limit: int) -> list[str]:
    """Named users whose histories go from short to long, evenly."""
    people = [actor for actor in own.row_of if not actor.startswith(ANONYMOUS)]
    lengths = np.diff(own.indptr)
    people.sort(key=lambda actor: lengths[own.row_of[actor]])
    step = max(1, len(people) // limit)
    return people[step // 2 :: step][:limit]
