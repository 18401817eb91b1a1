"""A person in front of the API: asks for a list, clicks, and waits for the list to answer."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from feature_store.events import ANONYMOUS
from infra.stack.errors import StackError
from infra.stack.http import call_json, get_status

Answer = dict[str, Any]
#: Between two polls: at first so long, then this share of the time waited. Whoever asks a busy
#: machine without pause keeps it busy.
POLL_S, POLL_SHARE = 0.01, 0.1
#: The page of the storefront, and what it is nothing without.
STOREFRONT = ("/", "/web/store.js")


@dataclass(frozen=True, slots=True)
class Click:
    """What one click did: the list before and after, and how long until the answer knew."""

    item: Answer
    before: Answer
    after: Answer
    milliseconds: float

    @property
    def changed(self) -> bool:
        """Whether the click changed the list."""
        return ids(self.before) != ids(self.after)


@dataclass(frozen=True, slots=True)
class Shopper:
    """One user of the serving API at `url`."""

    url: str
    user: str

    def recommendations(self, limit: int = 10) -> Answer:
        """The user's list now."""
        path = f"/api/recommendations/{quote(self.user, safe='')}"
        answer: Answer = call_json(f"{self.url}{path}?{urlencode({'limit': limit})}")
        return answer

    def visit(self, limit: int = 10) -> Answer:
        """The list that the storefront shows; raises `StackError` when its page does not come."""
        for path in STOREFRONT:
            if (status := get_status(f"{self.url}{path}", timeout_s=5)) != 200:
                raise StackError(
                    f"The storefront does not come: {path} says {status}. "
                    "See `millrace logs serving`."
                )
        return self.recommendations(limit)

    def _actor(self) -> dict[str, str]:
        if self.user.startswith(ANONYMOUS):
            return {"session_id": self.user.removeprefix(ANONYMOUS)}
        return {"user_id": self.user}

    def click(self, before: Answer, position: int, timeout_s: float = 30) -> Click:
        """Clicks an item of the list and polls until an answer has seen the click.

        The list is asked for once more just before, so that what changes is the click's doing.
        """
        before = self.recommendations(len(before["items"]))
        item = before["items"][min(position, len(before["items"]) - 1)]
        event = {**self._actor(), "event_id": str(uuid.uuid4()), "item_id": item["id"]}
        begun = time.monotonic()
        call_json(f"{self.url}/api/interactions", "POST", {**event, "type": "click"})
        while time.monotonic() - begun < timeout_s:
            answer = self.recommendations(len(before["items"]))
            if answer["last_event_id"] == event["event_id"]:
                return Click(item, before, answer, (time.monotonic() - begun) * 1000)
            time.sleep(max(POLL_S, POLL_SHARE * (time.monotonic() - begun)))
        raise StackError(
            f"No answer knew of a click after {timeout_s:.0f} s: is the hot job running? "
            "See `millrace stream status`."
        )


def ids(answer: Answer) -> list[str]:
    """The items of a list, in order."""
    return [item["id"] for item in answer["items"]]


def some_user(url: str) -> str:
    """A user with a history, the same one for the same bundle."""
    users = call_json(f"{url}/api/users?limit=1")["users"]
    if not users:
        raise StackError("Serving knows no user: has a champion been published?")
    return str(users[0])
