"""`GET /api/trending`: what is moving now, everywhere, in one category or in one country."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from feature_store.events import Identifier
from feature_store.trending import COUNTRY
from serving.answers import TrendingAnswer, TrendingItem
from serving.parts import Parts, Running
from serving.problems import Problem
from serving.security import READ

router = APIRouter(prefix="/api", tags=["trending"])

WindowName = Literal["5m", "1h", "24h"]
Country = Annotated[str, StringConstraints(pattern=COUNTRY)]
STALE: Final = ["trending"]


class Wanted(BaseModel):
    """Which list."""

    model_config = ConfigDict(extra="forbid")
    window: WindowName = "1h"
    category: Identifier | None = Field(None, examples=["PRODUCE"])
    country: Country | None = Field(None, examples=["NO"])
    limit: int = Field(20, ge=1, le=100, examples=[5])


@router.get("/trending", response_model=TrendingAnswer, dependencies=[READ])
def trending(wanted: Annotated[Wanted, Query()], parts: Running) -> Response:
    """The last list published; an older one, said to be so, when no store answers."""
    if wanted.category and wanted.country:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "There is no list of a category in a country: leave one of them out.",
        )
    published = parts.trending.published(wanted.window)
    return TrendingAnswer(
        window=wanted.window,
        category=wanted.category,
        country=wanted.country,
        published_at=published.published_at if published else None,
        items=_items(wanted, parts),
        degraded=[] if parts.trending.fresh else STALE,
    ).response()


def _items(wanted: Wanted, parts: Parts) -> list[TrendingItem]:
    listed = parts.trending.top(wanted.window, wanted.category, wanted.country)
    blocked = parts.curation.blocked
    cards = ((parts.catalogue.get(item_id), score) for item_id, score in listed)
    return [
        TrendingItem(
            id=card.item_id,
            title=card.title,
            category=list(card.category),
            brand=card.brand,
            price=card.price,
            score=score,
        )
        for card, score in cards
        if card and card.offered and card.item_id not in blocked
    ][: wanted.limit]
