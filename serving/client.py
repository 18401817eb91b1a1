"""A typed client of the API, for apps in Python: `Millrace("http://…", key="mr_…")`.

Reads are repeated after a failure that passes; so are writes, because each carries an event id
that the stream recognises. Comes with the extra `serving`; opens no store.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import orjson

from serving.answers import (
    Accepted,
    Answer,
    History,
    ItemAnswer,
    ItemList,
    Recommendations,
    SimilarItems,
    TrendingAnswer,
    UserAnswer,
    WhyAnswer,
)

A = TypeVar("A", bound=Answer)

#: Answers after which the same request may succeed.
PASSING: Final = frozenset({408, 429, 502, 503, 504})
#: The pause before the first repetition; it doubles, and a random half of it is left out.
PAUSE_S: Final = 0.1
#: A server that wants a longer pause than this is believed to be out.
PATIENCE_S: Final = 30.0


class ApiError(Exception):
    """The API refused, or did not answer (`status` 0); `problem` is its RFC 9457 body."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('detail', 'no answer')}")
        self.status = status
        self.problem = problem


class Millrace:
    """One API, over kept connections; safe to share between threads."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retries: int = 3,
        timeout_s: float = 5.0,
        http: httpx.Client | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`http` and `sleep` are for tests, and for apps with a transport of their own.

        The key becomes a header of that transport.
        """
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = http or httpx.Client(base_url=url, timeout=timeout_s)
        self._http.headers.update(headers)
        self._retries = retries
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets the connections go."""
        self._http.close()

    def recommendations(self, user_id: str, **wanted: Any) -> Recommendations:
        """The list for a user; `wanted` are the query's parameters: limit, cursor, category, …"""
        return self._get(Recommendations, f"/api/recommendations/{_id(user_id)}", wanted)

    def recommendations_of_session(self, session_id: str, **wanted: Any) -> Recommendations:
        """The list for an anonymous session."""
        said = {**wanted, "session_id": session_id}
        return self._get(Recommendations, "/api/recommendations", said)

    def recommendations_of_state(self, **wanted: Any) -> Recommendations:
        """The list for a `basket` and `recents` that the app keeps itself."""
        return self._ask(Recommendations, "POST", "/api/recommendations", json=wanted)

    def why(self, user_id: str, item_id: str, **wanted: Any) -> WhyAnswer:
        """Why an item is, or is not, in that list."""
        path = f"/api/recommendations/{_id(user_id)}/why/{_id(item_id)}"
        return self._get(WhyAnswer, path, wanted)

    def item(self, item_id: str) -> ItemAnswer:
        """One item; `ApiError` 404 for none."""
        return self._get(ItemAnswer, f"/api/items/{_id(item_id)}", {})

    def items(self, **wanted: Any) -> ItemList:
        """Items that match `q`, `category`, `brand`, `price_min`, `price_max`."""
        return self._get(ItemList, "/api/items", wanted)

    def similar(self, item_id: str, limit: int = 10) -> SimilarItems:
        """What goes with an item."""
        return self._get(SimilarItems, f"/api/items/{_id(item_id)}/similar", {"limit": limit})

    def trending(self, **wanted: Any) -> TrendingAnswer:
        """What is moving now."""
        return self._get(TrendingAnswer, "/api/trending", wanted)

    def user(self, user_id: str) -> UserAnswer:
        """Profile and last interactions; `ApiError` 404 for a stranger."""
        return self._get(UserAnswer, f"/api/users/{_id(user_id)}", {})

    def history(self, user_id: str, **wanted: Any) -> History:
        """What a user did lately, page by page."""
        return self._get(History, f"/api/users/{_id(user_id)}/history", wanted)

    def put_user(self, user_id: str, **profile: Any) -> Accepted:
        """Replaces a user's profile."""
        return self._ask(Accepted, "PUT", f"/api/users/{_id(user_id)}", json=profile)

    def interact(self, *interactions: Mapping[str, Any]) -> Accepted:
        """Sends interactions, all or none; ids are made here, so that a repetition is safe."""
        named = [{"event_id": uuid.uuid4().hex, **said} for said in interactions]
        return self._ask(Accepted, "POST", "/api/interactions", json=named)

    def feedback(self, item_id: str, kind: str, **who: str) -> Accepted:
        """`like`, `dislike` or `not_interested` by `user_id=` or `session_id=`."""
        said = {"event_id": uuid.uuid4().hex, "item_id": item_id, "kind": kind, **who}
        return self._ask(Accepted, "POST", "/api/feedback", json=said)

    def _get(self, shape: type[A], path: str, wanted: Mapping[str, Any]) -> A:
        said = {name: _text(value) for name, value in wanted.items() if value is not None}
        return self._ask(shape, "GET", path, params=said)

    def _ask(self, shape: type[A], method: str, path: str, **said: Any) -> A:
        """Raises `ApiError` for a refusal, and when it has repeated the request in vain."""
        attempt = 0
        while True:
            status, headers, body = self._send(method, path, said)
            if 200 <= status < 300:
                return shape.model_validate_json(body)
            pause_s = _pause_s(headers, attempt)
            if (status and status not in PASSING) or attempt == self._retries or pause_s is None:
                raise ApiError(status, _problem(body))
            self._sleep(pause_s)
            attempt += 1

    def _send(
        self, method: str, path: str, said: Mapping[str, Any]
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            answer = self._http.request(method, path, **said)
        except httpx.TransportError as error:
            return 0, {}, str(error).encode()
        return answer.status_code, answer.headers, answer.content


def _pause_s(headers: Mapping[str, str], attempt: int) -> float | None:
    """What the server asks for, or an exponential pause with jitter; None for too long a one."""
    asked = headers.get("retry-after", "")
    if asked.isdecimal():
        return float(asked) if float(asked) <= PATIENCE_S else None
    return PAUSE_S * float(2**attempt) * random.uniform(0.5, 1.0)


def _problem(body: bytes) -> Mapping[str, Any]:
    try:
        said = orjson.loads(body)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {"detail": body[:200].decode(errors="replace")}


def _id(said: str) -> str:
    """An id as one segment of a path."""
    return quote(said, safe="")


def _text(value: Any) -> str | Sequence[str]:
    if isinstance(value, bool):
        return str(value).lower()
    return [str(v) for v in value] if isinstance(value, list | tuple) else str(value)
