"""The contracts on the wire: bytes become an event, or an `InvalidEvent` with a reason.

One parse per message. Every engine (Flink, Spark, the plain-Python reference) calls `decode_*`
below, so all three accept and refuse the same bytes. Rules for later versions are in
`docs/contracts.md`: unknown fields are ignored and counted, unknown versions are refused.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

SCHEMA_VERSION: Final = 1
MAX_FUTURE_MS: Final = 5 * 60_000
#: What the actor of a session without a user begins with; no user id may.
ANONYMOUS: Final = "anon:"
#: Width of `actor_hash`: what fits into a signed BIGINT and is never negative.
HASH_BITS: Final = 63

InteractionType = Literal[
    "view", "click", "add_to_cart", "purchase", "like", "dislike", "rating", "remove", "search"
]

#: How much one event says about a person's interest in an item (integer, so sums commute).
WEIGHTS: Final[dict[str, int]] = {
    "view": 1, "click": 2, "add_to_cart": 5, "purchase": 10,
    "like": 5, "dislike": -5, "rating": 3, "remove": -3, "search": 0,
}  # fmt: skip

Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")
]
ShortText = Annotated[str, StringConstraints(max_length=64)]
Milliseconds = Annotated[int, Field(ge=0, le=253_402_300_799_000)]


class _Message(BaseModel):
    """What all messages share: strict types, finite numbers, unknown fields kept apart."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False)
    schema_version: int = Field(SCHEMA_VERSION, ge=SCHEMA_VERSION, le=SCHEMA_VERSION)


M = TypeVar("M", bound=_Message)


class Context(BaseModel):
    """Where an interaction happened."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")
    device: ShortText | None = None
    country: ShortText | None = None
    page: ShortText | None = None


class InteractionMessage(_Message):
    """Topic `user-interactions`: one thing one person (or anonymous session) did."""

    event_id: Identifier
    user_id: Identifier | None = None
    session_id: Identifier | None = None
    item_id: Identifier | None = Field(None, description="Required for every type but search.")
    type: InteractionType
    event_time: Milliseconds = Field(description="When it happened: ms since the epoch, UTC.")
    value: float | None = Field(None, description="The rating given, for type=rating.")
    quantity: int = Field(1, ge=1, le=100_000)
    price: float | None = Field(None, ge=0, le=1e6, description="Price of one unit, major units.")
    query: Annotated[str, StringConstraints(max_length=512)] | None = Field(
        None, description="The text searched for, for type=search."
    )
    context: Context = Context()


class ItemMessage(_Message):
    """Topic `item-metadata`: what an item is; a tombstone (null value) deletes it."""

    item_id: Identifier
    title: Annotated[str, StringConstraints(max_length=512)]
    description: Annotated[str, StringConstraints(max_length=16_384)] = ""
    category: list[Identifier] = Field(default=[], max_length=8, description="Path, broad first.")
    brand: Annotated[str, StringConstraints(max_length=256)] | None = None
    price: float | None = Field(None, ge=0, le=1e6)
    tags: list[ShortText] = Field(default=[], max_length=64)
    available: bool = True
    created_at: Milliseconds | None = None


class ProfileMessage(_Message):
    """Topic `user-profile-updates`: who a user is; a tombstone is an erasure request."""

    user_id: Identifier
    segment: ShortText | None = None
    country: ShortText | None = None
    age_band: ShortText | None = None
    language: ShortText | None = None
    preferred_categories: list[Identifier] = Field(default=[], max_length=64)
    consent: bool = True


class ShownItem(BaseModel):
    """One place of a list that was shown."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False)
    item_id: Identifier
    position: int = Field(ge=0, description="From 0, within the answer.")
    propensity: float = Field(
        1.0, gt=0, le=1, description="How likely the policy was to show this item in this place."
    )
    score: float
    sources: list[str] = Field(description="Candidate sources that offered it.")
    vector: list[float | None] | None = Field(
        None,
        description="What it was ranked by, in the order of `models.rows.columns`, null for NaN; "
        "null as a whole where ranked without, and in a list kept before (`made_as` has it).",
    )


class ImpressionMessage(_Message):
    """Topic `recommendation-impressions`: one answer, as it was shown."""

    impression_id: Identifier
    actor: Identifier
    shown_at: Milliseconds
    bundle: str | None = None
    mode: Literal["mixed", "discover", "replenish"]
    degraded: list[str] = Field(default=[], description="What was missing when it was made.")
    columns: str = Field(description="The declaration's fingerprint.")
    made_as: Identifier | None = Field(
        None, description="The impression this same list was first shown in, if not this one."
    )
    plain: bool = Field(
        False,
        description="Asked for without a page, a filter or interactions sent along: the log alone "
        "says what the vectors were.",
    )
    items: list[ShownItem]


MESSAGES: Final[dict[str, type[_Message]]] = {
    "user-interactions": InteractionMessage,
    "item-metadata": ItemMessage,
    "user-profile-updates": ProfileMessage,
    "recommendation-impressions": ImpressionMessage,
}


@dataclass(frozen=True, slots=True)
class Interaction:
    """An accepted interaction, flat, in the types every engine shares (money in minor units)."""

    event_id: str
    actor: str
    item_id: str
    type: str
    event_time: int
    quantity: int
    price_minor: int
    amount_minor: int
    weight: int
    value: float | None
    query: str
    device: str
    country: str
    page: str
    unknown_fields: int

    @property
    def actor_hash(self) -> int:
        """What `Distinct` knows of the actor."""
        return actor_hash(self.actor)


@dataclass(frozen=True, slots=True)
class InvalidEvent:
    """A message that is not applied, and why; it goes to the dead-letter topic."""

    reason: str


def anonymous(session_id: str) -> str:
    """The actor of a session without a user."""
    return ANONYMOUS + session_id


def actor_hash(actor: str) -> int:
    """63 bits of an actor's MD5: its first 8 bytes, less the last bit."""
    digest = hashlib.md5(actor.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def decode_interaction(value: bytes | None, append_time: int) -> Interaction | InvalidEvent:
    """Decodes one message of `user-interactions`; `append_time` is the broker's clock in ms."""
    message = _parse(InteractionMessage, value)
    if isinstance(message, InvalidEvent):
        return message
    reason = _contradiction(message, append_time)
    if reason:
        return InvalidEvent(reason)
    price_minor = 0 if message.price is None else minor_units(message.price)
    context = message.context
    return Interaction(
        event_id=message.event_id,
        actor=message.user_id or anonymous(message.session_id or ""),
        item_id=message.item_id or "",
        type=message.type,
        event_time=message.event_time,
        quantity=message.quantity,
        price_minor=price_minor,
        amount_minor=price_minor * message.quantity,
        weight=WEIGHTS[message.type],
        value=message.value,
        query=message.query or "",
        device=context.device or "",
        country=context.country or "",
        page=context.page or "",
        unknown_fields=len(message.model_extra or {}) + len(context.model_extra or {}),
    )


def decode_item(value: bytes) -> ItemMessage | InvalidEvent:
    """Decodes one message of `item-metadata` that is not a tombstone."""
    return _parse(ItemMessage, value)


def decode_profile(value: bytes) -> ProfileMessage | InvalidEvent:
    """Decodes one message of `user-profile-updates` that is not a tombstone."""
    return _parse(ProfileMessage, value)


def decode_tombstone(key: bytes | None) -> str | InvalidEvent:
    """Whom or what a message without a value deletes: its key."""
    try:
        return key.decode() if key else InvalidEvent("key: null")
    except UnicodeDecodeError:
        return InvalidEvent("key: not UTF-8")


def decode_impression(value: bytes | None) -> ImpressionMessage | InvalidEvent:
    """Decodes one message of `recommendation-impressions`."""
    return _parse(ImpressionMessage, value)


def canonical(message: ItemMessage | ProfileMessage) -> str:
    """A record as stores keep it: the contract's own fields as JSON."""
    return message.model_dump_json(include=set(type(message).model_fields))


def minor_units(price: float) -> int:
    """Money as an integer, half up: the one rounding rule, whatever the engine."""
    return math.floor(price * 100 + 0.5)


def json_schema(topic: str) -> dict[str, Any]:
    """The JSON Schema of a topic's messages, as committed under `docs/schemas/`."""
    schema = MESSAGES[topic].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _contradiction(message: InteractionMessage, append_time: int) -> str | None:
    """What the fields say against each other or against the clock; the first complaint."""
    user, kind = message.user_id, message.type
    complaints = {
        "actor: neither user_id nor session_id": user is None and message.session_id is None,
        "user_id: reserved for sessions": user is not None and user.startswith(ANONYMOUS),
        "item_id: missing": message.item_id is None and kind != "search",
        "query: missing": kind == "search" and not message.query,
        "value: missing": kind == "rating" and message.value is None,
        "event_time: from the future": message.event_time > append_time + MAX_FUTURE_MS,
    }
    return next((complaint for complaint, holds in complaints.items() if holds), None)


def _parse(model: type[M], value: bytes | None) -> M | InvalidEvent:
    if value is None:
        return InvalidEvent("value: null")
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        return InvalidEvent(_reason(error))


def _reason(error: ValidationError) -> str:
    """The first complaint, without the offending value (it may be personal)."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return "json: not valid JSON"
    field = ".".join(str(part) for part in first["loc"]) or "message"
    if field == "schema_version":
        return "schema_version: unknown"
    return f"{field}: {first['type']}"
