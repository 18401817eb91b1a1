"""`/api/items`: what an item is, finding items, and what goes with an item."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from feature_store.events import Identifier
from serving.answers import ItemAnswer, ItemList, SimilarItem, SimilarItems
from serving.catalogue import Card, Filter
from serving.parts import Parts, Running
from serving.problems import Problem
from serving.routes.recommendations import Price
from serving.security import READ
from serving.segments import PathId
from serving.similar import similar

router = APIRouter(prefix="/api", tags=["items"])


class Search(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")
    q: str = Field("", max_length=128, description="Words, all of which must occur.")
    category: Identifier | None = Field(None, description="At any level of an item's category.")
    brand: Identifier | None = Field(None, description="Exactly this brand.")
    price_min: Price | None = Field(None, description="In major units.")
    price_max: Price | None = Field(None, description="In major units.")
    limit: int = Field(20, ge=1, le=100)
    cursor: Identifier | None = Field(None, description="`next_cursor` of the page before.")


class Near(BaseModel):
    """How many."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(10, ge=1, le=50)


@router.get("/items", response_model=ItemList, dependencies=[READ])
def search(wanted: Annotated[Search, Query()], parts: Running) -> Response:
    """Items whose title, brand or category hold every word."""
    fits = Filter(wanted.category, wanted.brand, wanted.price_min, wanted.price_max)
    cards = parts.catalogue.search(wanted.q, fits, wanted.cursor or "", wanted.limit)
    full = len(cards) == wanted.limit
    return ItemList(
        items=[_answer(card) for card in cards], next_cursor=cards[-1].item_id if full else None
    ).response()


@router.get("/items/{item_id}", response_model=ItemAnswer, dependencies=[READ])
def item(item_id: PathId, parts: Running) -> Response:
    """One item. 404 when no store knows it; while none answers, an answer that says so."""
    card, lacking = _find(item_id, parts)
    if card is None or card.deleted:
        if lacking:
            return ItemAnswer(id=item_id, title=item_id, degraded=lacking).response()
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such item.")
    return _answer(card).response()


@router.get("/items/{item_id}/similar", response_model=SimilarItems, dependencies=[READ])
def similar_items(item_id: PathId, wanted: Annotated[Near, Query()], parts: Running) -> Response:
    """What goes with an item, for nobody in particular: bought together, alike, same taste."""
    live = parts.champion.live
    card, lacking = _find(item_id, parts)
    if card is None and not lacking and not (live and item_id in live.bundle.index_of):
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such item.")
    found = similar(live.bundle, item_id, wanted.limit, parts.catalogue) if live else []
    return SimilarItems(
        item_id=item_id,
        items=[
            SimilarItem(
                id=near.card.item_id,
                title=near.card.title,
                category=list(near.card.category),
                brand=near.card.brand,
                price=near.card.price,
                score=round(near.score, 6),
                sources=list(near.sources),
                reason=near.reason,
            )
            for near in found
        ],
        bundle=live.bundle.id if live else None,
        degraded=lacking if live else [*lacking, "bundle"],
    ).response()


def _find(item_id: str, parts: Parts) -> tuple[Card | None, list[str]]:
    card = parts.catalogue.get(item_id)
    if card and card.live:
        return card, []
    reading = parts.outside.stores.collect([item_id], lambda store, ids: store.read_items(ids))
    record = (reading.value or {}).get(item_id)
    if record and (told := Card.of(item_id, record)):
        return told, []
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
