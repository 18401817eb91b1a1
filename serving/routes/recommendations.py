"""`/api/recommendations`: personal lists, for users, for sessions, and for apps that keep state."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from feature_store.events import Identifier, InteractionType, Milliseconds, anonymous, minor_units
from feature_store.stores.base import RECENTS_KEPT, Recent
from serving.answers import Recommendations, WhyAnswer
from serving.ask import CURSOR, Ask, Context, Mode, marks
from serving.body import Body, describe, parsed
from serving.catalogue import Filter
from serving.parts import Parts, Running
from serving.security import READ, WHOLE, Asking
from serving.segments import ItemId, PathId

router = APIRouter(prefix="/api", tags=["recommendations"])

Price = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Wanted(BaseModel):
    """What a list may be asked to be; unknown parameters are refused, so that typos show."""

    model_config = ConfigDict(extra="forbid")
    limit: int = Field(10, ge=1, le=100, description="How many items.", examples=[5])
    page: int = Field(1, ge=1, le=30, description="Counted from where the cursor stands.")
    cursor: str | None = Field(
        None,
        pattern=CURSOR,
        examples=["q2cV0Jf1"],
        description="`next_cursor` of the page before. Pages of one cursor never repeat an item, "
        "whatever happens in between; with `page` alone they may.",
    )
    category: Identifier | None = Field(
        None, description="At any level of an item's category.", examples=["PRODUCE"]
    )
    brand: Identifier | None = Field(None, description="Exactly this brand.", examples=["National"])
    price_min: Price | None = Field(None, description="In major units.", examples=[1.5])
    price_max: Price | None = Field(None, description="In major units.", examples=[20])
    exclude: list[Identifier] = Field(
        [], max_length=100, description="Items to leave out.", examples=[["995242"]]
    )
    context: Context = Field(
        Context.HOME,
        description="The page that the list is for. `cart`: what goes with the cart comes first.",
        examples=["item"],
    )
    item_id: Identifier | None = Field(
        None,
        description="The item a page shows: what goes with it comes first.",
        examples=["1082185"],
    )
    diversity: float = Field(
        0.0, ge=0, le=1, allow_inf_nan=False,
        description="0: the best items; 1: as different from each other as can be.",
    )  # fmt: skip
    explain: bool = Field(False, description="Say how the list came about. Costs a little time.")
    mode: Mode = Field(
        Mode.MIXED,
        description="`discover`: nothing you have had to do with; `replenish`: what you bought.",
    )

    def ask(self, actor: str) -> Ask:
        """The same for the recommender."""
        return Ask(
            actor=actor,
            limit=self.limit,
            mode=self.mode,
            filter=Filter(self.category, self.brand, self.price_min, self.price_max),
            context=self.context,
            about=(self.item_id,) if self.item_id is not None else (),
            exclude=frozenset(self.exclude),
            page=self.page,
            shown=marks(self.cursor),
            diversity=self.diversity,
            explain=self.explain,
        )


class WantedOfSession(Wanted):
    """The same for somebody who is known by a session only."""

    session_id: Identifier = Field(
        description="As in the interactions of this session.", examples=["tab-7"]
    )


class Given(BaseModel):
    """Something that happened, as an app remembers it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    item_id: Identifier
    type: InteractionType = "view"
    event_time: Milliseconds | None = Field(None, description="Just now, when left out.")
    quantity: int = Field(1, ge=1, le=100_000)
    price: Price | None = None


class WantedOfState(Wanted):
    """What an app knows of a person, and what the list should be."""

    model_config = ConfigDict(strict=True)
    user_id: Identifier | None = Field(None, description="Adds what the stores know of a user.")
    session_id: Identifier | None = Field(None, description="The same of a session.")
    recents: list[Given] = Field([], max_length=RECENTS_KEPT, description="Newest first.")
    basket: list[Identifier] = Field(
        [], max_length=100, description="What is in the cart; what goes with it comes first."
    )

    def ask_at(self, now: int) -> Ask:
        """The same for the recommender, at `now` (ms)."""
        actor = self.user_id or (anonymous(self.session_id) if self.session_id else "")
        ask = self.ask(actor)
        basket = [Given(item_id=item_id, type="add_to_cart") for item_id in self.basket]
        given = tuple(_recent(said, now, n) for n, said in enumerate([*basket, *self.recents]))
        return replace(ask, about=(*ask.about, *self.basket), given=given)


EXAMPLE: Final = {
    "basket": ["1082185"],
    "recents": [{"item_id": "995242", "type": "view"}],
    "limit": 5,
}


@router.get("/recommendations/{user_id}", response_model=Recommendations, dependencies=[READ])
def recommendations(
    user_id: Annotated[
        PathId, Path(description="A user, or `anon:<session_id>`.", examples=["718"])
    ],
    wanted: Annotated[Wanted, Query()],
    parts: Running,
) -> Response:
    """The list for one user as of this moment. Never fails because a dependency is down."""
    return _answer(wanted.ask(user_id), parts)


@router.get(
    "/recommendations/{user_id}/why/{item_id}", response_model=WhyAnswer, dependencies=[READ]
)
def why(
    user_id: PathId, item_id: ItemId, wanted: Annotated[Wanted, Query()], parts: Running
) -> Response:
    """Why an item is, or is not, in the list that the same query would get now."""
    return parts.recommender.why(wanted.ask(user_id), item_id).response()


@router.get("/recommendations", response_model=Recommendations, dependencies=[WHOLE])
def recommendations_of_session(
    wanted: Annotated[WantedOfSession, Query()], parts: Running
) -> Response:
    """The list for an anonymous session: its first click already counts."""
    return _answer(wanted.ask(anonymous(wanted.session_id)), parts)


@router.post(
    "/recommendations",
    response_model=Recommendations,
    dependencies=[READ],
    openapi_extra=describe(WantedOfState, batch=False, example=EXAMPLE),
)
def recommendations_of_state(body: Body, parts: Running, asking: Asking) -> Response:
    """The list for an app that keeps state itself: a basket, or the last things that happened.

    Without `user_id` and `session_id`, no store is read and nothing is kept.
    """
    wanted = parsed(WantedOfState, body)
    ask = wanted.ask_at(time.time_ns() // 1_000_000)
    if ask.actor:
        asking.must_be(ask.actor)
    return _answer(ask, parts)


def _answer(ask: Ask, parts: Parts) -> Response:
    answer = parts.recommender.recommend(ask)
    if answer.degraded:
        parts.telemetry.lists_degraded.inc()
    if answer.feature_age_ms is not None:
        parts.telemetry.last_feature_age.set(answer.feature_age_ms / 1_000)
    return answer.response()


def _recent(said: Given, now: int, place: int) -> Recent:
    """Without times of their own, interactions are a millisecond apart, the first the newest."""
    return Recent(
        event_time=min(now, said.event_time) if said.event_time is not None else now - place,
        event_id=f"given-{place}",
        type=said.type,
        item_id=said.item_id,
        quantity=said.quantity,
        price_minor=0 if said.price is None else minor_units(said.price),
        query="",
    )
