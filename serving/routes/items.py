"""`/api/items`: what an item is, finding items, and what goes with an item."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from feature_store.events import Identifier, ItemMessage
from serving.answers import ItemAnswer, ItemList, SimilarItem, SimilarItems
from serving.card import Card, Filter, described
from serving.parts import Parts, Running
from serving.problems import Problem
from serving.routes.recommendations import Price
from serving.security import READ
from serving.segments import ItemId
from serving.similar import similar

router = APIRouter(prefix="/api", tags=["items"])


class Search(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")
    q: str = Field(
        "", max_length=128, description="Words, all of which must occur.", examples=["milk"]
    )
    category: Identifier | None = Field(
        None, description="At any level of an item's category.", examples=["PRODUCE"]
    )
    brand: Identifier | None = Field(None, description="Exactly this brand.", examples=["National"])
    price_min: Price | None = Field(None, description="In major units.", examples=[1.5])
    price_max: Price | None = Field(None, description="In major units.", examples=[20])
    limit: int = Field(20, ge=1, le=100, examples=[5])
    cursor: Identifier | None = Field(
        None, description="`next_cursor` of the page before.", examples=["1082185"]
    )


class Near(BaseModel):
    """How many."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(10, ge=1, le=50, examples=[5])


@router.get("/items", response_model=ItemList, dependencies=[READ])
def search(wanted: Annotated[Search, Query()], parts: Running) -> Response:
    """Items whose title, brand or category hold every word."""
    fits = Filter(wanted.category, wanted.brand, wanted.price_min, wanted.price_max)
    cards = parts.catalogue.search(wanted.q, fits, wanted.cursor or "", wanted.limit)
    told, failed = _told([card.item_id for card in cards], parts)
    lacking = [] if all(card.item_id in told for card in cards) else failed
    return ItemList(
        items=[_answer(card, told.get(card.item_id)) for card in cards],
        next_cursor=cards[-1].item_id if len(cards) == wanted.limit else None,
        degraded=lacking if parts.items.complete else [*lacking, "item_features"],
    ).response()


@router.get("/items/{item_id}", response_model=ItemAnswer, dependencies=[READ])
def item(item_id: ItemId, parts: Running) -> Response:
    """One item. 404 when no store knows it; while none answers, what is known without them."""
    told, failed = _told([item_id], parts)
    said = told.get(item_id)
    card = Card.told(item_id, said) if said else parts.catalogue.get(item_id)
    if card is None or card.deleted or (item_id in told and said is None):
        if failed and item_id not in told:
            return ItemAnswer(id=item_id, title=item_id, degraded=failed).response()
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such item.")
    return _answer(card, said, [] if said else failed).response()


@router.get("/items/{item_id}/similar", response_model=SimilarItems, dependencies=[READ])
def similar_items(item_id: ItemId, wanted: Annotated[Near, Query()], parts: Running) -> Response:
    """What goes with an item, for nobody in particular: bought together, alike, same taste."""
    live = parts.champion.live
    card = parts.catalogue.get(item_id)
    told, lacking = ({}, []) if card and card.live else _told([item_id], parts)
    if card is None and not told.get(item_id) and not lacking:
        raise Problem(HTTPStatus.NOT_FOUND, "There is no such item.")
    blocked = parts.curation.blocked
    found = similar(live.bundle, item_id, wanted.limit, parts.catalogue, blocked) if live else []
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


def _told(ids: list[str], parts: Parts) -> tuple[dict[str, ItemMessage | None], list[str]]:
    """What the stores keep of items, None for a deleted one; and the stores that failed.

    A damaged record is none: the card of before stays.
    """
    if not ids:
        return {}, []
    reading = parts.outside.stores.collect(ids, lambda store, missing: store.read_items(missing))
    told: dict[str, ItemMessage | None] = {}
    for item_id, record in (reading.value or {}).items():
        said = described(item_id, record, parts.telemetry.damaged) if record else None
        if said or not record:
            told[item_id] = said
    return told, list(reading.failed)


def _answer(card: Card, said: ItemMessage | None, degraded: Sequence[str] = ()) -> ItemAnswer:
    """A card, and of what a store says now what no card holds."""
    return ItemAnswer(
        id=card.item_id,
        title=card.title,
        description=said.description if said else "",
        category=list(card.category),
        brand=card.brand,
        price=card.price,
        tags=list(said.tags) if said else [],
        available=card.available,
        degraded=list(degraded),
    )
