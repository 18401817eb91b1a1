"""`GET /api/recommendations/{user_id}`: a personal list."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from feature_store.events import Identifier
from serving.answers import Recommendations
from serving.parts import Running
from serving.recommend import Ask
from serving.rules import Mode

router = APIRouter(prefix="/api", tags=["recommendations"])


class Wanted(BaseModel):
    """What a list may be asked to be; unknown parameters are refused, so that typos show."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(10, ge=1, le=100, description="How many items.")
    category: Identifier | None = Field(None, description="At any level of an item's category.")
    mode: Mode = Field(
        Mode.MIXED,
        description="`discover`: nothing you have had to do with; `replenish`: what you bought.",
    )


@router.get("/recommendations/{user_id}", response_model=Recommendations)
def recommendations(
    user_id: Annotated[
        Identifier, Path(description="A user, or `anon:<session_id>`.", examples=["718"])
    ],
    wanted: Annotated[Wanted, Query()],
    parts: Running,
) -> Response:
    """The list for one user as of this moment. Never fails because a dependency is down."""
    ask = Ask(user_id, wanted.limit, wanted.mode, wanted.category)
    return parts.recommender.recommend(ask).response()
