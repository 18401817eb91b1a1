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


class Offer(Answer):
    """What one source said of an item."""

    source: str = Field(examples=["covisitation"])
    rank: int = Field(description="Its place among the source's own, 1 the best.", examples=[3])
    score: Finite = Field(description="In the source's own terms.", examples=[0.42])


class ColumnEffect(Answer):
    """How one of the ranker's columns moved an item's score."""

    column: str = Field(examples=["pair_days_since_last"])
    value: float | None = Field(description="What the column said; null for unknown.")
    effect: Finite = Field(description="Added to the score, in the ranker's units.")


class ItemExplanation(Answer):
    """Where an item stood before caps and diversity, and what put it there."""

    rank: int = Field(examples=[4])
    offers: list[Offer]
    columns: list[ColumnEffect] = Field(description="The strongest first.")


class DiversityCost(Answer):
    """What diversity took and gave."""

    replaced: int = Field(description="Items that are there for it.", examples=[3])
    score_kept: Finite = Field(
        description="The list's score beside that of the best items: 1 is all of it.",
        examples=[0.94],
    )


class Explanation(Answer):
    """What happened on the way to a list."""

    steps_ms: dict[str, float] = Field(examples=[{"features": 0.8, "rank": 2.1}])
    offered: int = Field(description="Items that any source offered.")
    allowed: int = Field(description="Those that the rules let through, and what filled up.")
    left_out: dict[str, int] = Field(description="How many each rule left out.")
    diversity: DiversityCost | None = Field(None, description="Where it was asked for.")


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
    explain: ItemExplanation | None = Field(None, description="With `explain=true`.")


class Recommendations(Answer):
    """A personal list, and everything needed to judge it."""

    user_id: str | None = Field(description="Whom it is for; null for nobody in particular.")
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
    next_cursor: str | None = Field(
        None, description="Asks for the next page, which repeats nothing; null where it ends."
    )
    explain: Explanation | None = Field(None, description="With `explain=true`.")


class WhyAnswer(Answer):
    """Why an item is, or is not, in somebody's list."""

    user_id: str | None
    item_id: str
    title: str | None
    shown: bool
    place: int | None = Field(description="In the list, 1 the first.", examples=[3])
    rank: int | None = Field(
        description="Among what the rules allow, before caps and diversity.", examples=[143]
    )
    reason: str = Field(examples=["you disliked or removed it"])
    offers: list[Offer] = Field(description="What each source said of it.")
    columns: list[ColumnEffect] = Field(description="What moved its score most.")
    bundle: str | None
    features_from: str | None
    generated_at: Epoch
    degraded: list[str]


class Accepted(Answer):
    """Kafka has it."""

    accepted: int = Field(examples=[1])
    event_ids: list[str] = Field(description="In the order sent.")
    degraded: list[str] = Field(
        [], description="For feedback: `stores`, when the next answer may not know of it yet."
    )


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
    """Items that match a search, in order of their ids."""

    items: list[ItemAnswer]
    next_cursor: str | None = Field(None, description="Asks for the next page; null at the end.")
    degraded: list[str] = []


class SimilarItem(Answer):
    """One item that goes with another."""

    id: str
    title: str
    category: list[str]
    brand: str | None
    price: float | None
    score: Finite = Field(description="1 for what every source puts first.", examples=[0.83])
    sources: list[str] = Field(examples=[["covisitation", "content"]])
    reason: str = Field(examples=["often bought together"])


class SimilarItems(Answer):
    """What goes with an item, for nobody in particular."""

    item_id: str
    items: list[SimilarItem]
    bundle: str | None
    degraded: list[str]


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


class History(Answer):
    """What a user did lately, newest first."""

    user_id: str
    events: list[UserEvent]
    features_from: str | None
    next_cursor: str | None = Field(None, description="Asks for the next page; null at the end.")
    degraded: list[str]


class RulesAnswer(Answer):
    """What the shop pins, boosts and blocks."""

    pinned: list[str]
    boosted: dict[str, int]
    blocked: list[str]
    changed_at: int | None = Field(description="ms since the epoch; null for never.")
    degraded: list[str] = Field(
        description="Stores that do not have the change yet; they get it when they are back."
    )


class UserSample(Answer):
    """Some users with a history, to try the API with."""

    users: list[str]


class Health(Answer):
    """Whether the process lives, or may be sent requests, and why not."""

    status: str = Field(examples=["ready"])
    bundle: str | None = None
    reason: str | None = None
    degraded: list[str] = []
