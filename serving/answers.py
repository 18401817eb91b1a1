"""The shapes of the API's answers, as OpenAPI describes them."""

from __future__ import annotations

from typing import Annotated

from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Epoch = Annotated[int, Field(description="ms since the epoch, UTC", examples=[1_767_225_600_000])]


class Answer(BaseModel):
    """What all answers share."""

    model_config = ConfigDict(frozen=True)

    def response(self, status: int = 200) -> Response:
        """Already valid, so it is encoded once and not checked again; NaN would become null."""
        return Response(self.model_dump_json(), status, media_type="application/json")


class RecommendedItem(Answer):
    """One item of a list, with where it came from and why."""

    id: str = Field(examples=["1082185"])
    title: str = Field(examples=["Bananas"])
    category: list[str] = Field(examples=[["PRODUCE", "TROPICAL FRUIT"]])
    brand: str | None = None
    price: float | None = Field(None, examples=[0.95])
    score: Finite = Field(description="Comparable within one answer only.", examples=[1.73])
    sources: list[str] = Field(examples=[["als", "own"]])
    reason: str = Field(examples=["because you viewed Whole milk"])


class Recommendations(Answer):
    """A personal list, and everything needed to judge it."""

    user_id: str
    items: list[RecommendedItem]
    bundle: str | None = Field(description="The bundle that made it.", examples=["0f3c…"])
    impression_id: str
    generated_at: Epoch
    last_event_id: str | None = Field(
        description="The user's newest interaction that the list knows of: is my click in it?"
    )
    feature_as_of: int | None = Field(description="Event time of that interaction (ms).")
    feature_age_ms: int | None = Field(description="generated_at - feature_as_of")
    features_from: str | None = Field(description="The store that knew.", examples=["redis"])
    degraded: list[str] = Field(
        description="What is missing; empty when all is well.", examples=[["redis"]]
    )
    sources: dict[str, int] = Field(description="Items by source.", examples=[{"als": 7}])


class Accepted(Answer):
    """Kafka has it."""

    accepted: int = Field(examples=[1])
    event_ids: list[str] = Field(description="In the order sent.")


class ItemAnswer(Answer):
    """What an item is."""

    id: str
    title: str
    description: str = ""
    category: list[str] = []
    brand: str | None = None
    price: float | None = None
    tags: list[str] = []
    available: bool = True
    degraded: list[str] = []


class ItemList(Answer):
    """Items that match a search."""

    items: list[ItemAnswer]


class TrendingItem(Answer):
    """One item of a trending list."""

    id: str
    title: str
    category: list[str]
    brand: str | None
    price: float | None
    score: Finite


class TrendingAnswer(Answer):
    """A published trending list."""

    window: str
    category: str | None
    country: str | None
    published_at: int | None = Field(description="ms since the epoch; null before the first list.")
    items: list[TrendingItem]
    degraded: list[str]


class UserEvent(Answer):
    """One thing a user did lately."""

    event_id: str
    type: str
    item_id: str
    title: str | None
    event_time: Epoch


class UserAnswer(Answer):
    """What is known about a user."""

    user_id: str
    profile: dict[str, object] | None
    recents: list[UserEvent]
    features_from: str | None
    degraded: list[str]


class UserSample(Answer):
    """Some users with a history, to try the API with."""

    users: list[str]


class Health(Answer):
    """Whether the process lives, or may be sent requests, and why not."""

    status: str = Field(examples=["ready"])
    bundle: str | None = None
    reason: str | None = None
    degraded: list[str] = []
