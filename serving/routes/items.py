"""`/api/items`: what an item is, and finding items by their words."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from feature_store.events import Identifier
from serving.answers import ItemAnswer, ItemList
from serving.catalogue import Card
from serving.parts import Parts, Running
from serving.problems import Problem

router = APIRouter(prefix="/api", tags=["items"])


class Search(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")
    q: str = Field("", max_length=128, description="Words, all of which must occur.")
    category: Identifier | None = Field(None, description="At any level of an item's category.")
    limit: int = Field(20, ge=1, le=100)


@router.get("/items", response_model=ItemList)
def search(wanted: Annotated[Search, Query()], parts: Running) -> Response:
    """Items whose title, brand or category hold every word."""
    cards = parts.catalogue.search(wanted.q, wanted.category, wanted.limit)
    return ItemList(items=[_answer(card) for card in cards]).response()


@router.get("/items/{item_id}", response_model=ItemAnswer)
def item(item_id: Identifier, parts: Running) -> Response:
    """One item. 404 when no store knows it; while none answers, an answer that says so."""
    card, lacking = _find(item_id, parts)
    if card is None or card.deleted:
        if lacking:
            return ItemAnswer(id=item_id, title=item_id, degraded=lacking).response()
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such item.")
    return _answer(card).response()


def _find(item_id: str, parts: Parts) -> tuple[Card | None, list[str]]:
    card = parts.catalogue.get(item_id)
    if card and card.live:
        return card, []
    reading = parts.outside.stores.collect([item_id], lambda store, ids: store.read_items(ids))
    if reading.value and reading.value.get(item_id):
        return Card.of(item_id, reading.value[item_id]), []
    return card, list(reading.failed)


def _answer(card: Card) -> ItemAnswer:
    return ItemAnswer(
        id=card.item_id,
        title=card.title,
        description=card.description,
        category=list(card.category),
        brand=card.brand,
        price=card.price,
        tags=list(card.tags),
        available=card.available,
    )
