"""A message on its way to Kafka: topic, key and bytes, and when it happened."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from feature_store.events import anonymous
from feature_store.topics import INTERACTIONS, ITEMS, PROFILES


class Message(NamedTuple):
    """One message before it is sent; `event_time` (ms) paces it, and is 0 for a description."""

    topic: str
    key: bytes
    value: bytes | None
    event_time: int


def interaction(body: dict[str, Any]) -> Message:
    """A message of `user-interactions`, keyed by its actor."""
    actor = body.get("user_id") or anonymous(body["session_id"])
    return Message(INTERACTIONS.name, actor.encode(), orjson.dumps(body), body["event_time"])


def item(body: dict[str, Any]) -> Message:
    """A message of `item-metadata`, keyed by its item."""
    return Message(ITEMS.name, body["item_id"].encode(), orjson.dumps(body), 0)


def profile(body: dict[str, Any]) -> Message:
    """A message of `user-profile-updates`, keyed by its user."""
    return Message(PROFILES.name, body["user_id"].encode(), orjson.dumps(body), 0)
