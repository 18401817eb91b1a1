"""Events that read as sentences: `purchase("ann", "milk", at=NOON + 2 * MINUTE, price=1.50)`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import orjson

from feature_store.reference import Message
from feature_store.tiles import DAY_MS, HOUR_MS, MINUTE_MS

MINUTE, HOUR, DAY = MINUTE_MS, HOUR_MS, DAY_MS
#: 2026-03-10 12:00:00 UTC, the start of a minute and an hour.
NOON = 1_773_144_000_000

_ids = count()


@dataclass(frozen=True)
class Sent:
    """A message on its way to the log: its body, and when the broker takes it."""

    body: dict[str, Any] | bytes
    arrives: int

    def again(self, after: int = 0) -> Sent:
        """The same message once more."""
        return replace(self, arrives=self.arrives + after)


def interaction(
    kind: str,
    user: str,
    item: str | None = None,
    *,
    at: int,
    arrives: int | None = None,
    **more: Any,
) -> Sent:
    """An interaction that happened `at` (ms) and arrives then unless said otherwise."""
    body = {"event_id": f"event-{next(_ids)}", "user_id": user, "item_id": item, "type": kind}
    return Sent({**body, "event_time": at, **more}, at if arrives is None else arrives)


view = partial(interaction, "view")
click = partial(interaction, "click")
cart = partial(interaction, "add_to_cart")
purchase = partial(interaction, "purchase")
like = partial(interaction, "like")
dislike = partial(interaction, "dislike")
remove = partial(interaction, "remove")
search = partial(interaction, "search")


def log_of(sent: list[Sent]) -> list[Message]:
    """The messages as one partition holds them, in the order given."""
    return [Message(0, offset, one.arrives, _bytes(one.body)) for offset, one in enumerate(sent)]


def _bytes(body: dict[str, Any] | bytes) -> bytes:
    return body if isinstance(body, bytes) else orjson.dumps(body)
