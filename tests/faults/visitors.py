"""Visitors of the API: they ask at a steady rate and write down what they got, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import orjson

#: A request that takes longer has failed.
PATIENCE_S = 10.0
#: Stands for a status where none came.
NO_ANSWER = 599


@dataclass(frozen=True)
class Visit:
    """One request: when it was to be sent, how long it took from then, and what came back.

    `sent` is when it was: later, where the visitors' own machine was busy.
    """

    user: str
    at: float
    sent: float
    seconds: float
    status: int
    said: dict[str, Any] = field(repr=False)

    @property
    def items(self) -> list[str]:
        """The ids of the list."""
        return [item["id"] for item in self.said.get("items", ())]


class Visitors:
    """`with Visitors(http, users, rate) as visitors:` … then `visitors.visits`."""

    def __init__(self, base_url: str, users: Sequence[str], rate: float, k: int = 5) -> None:
        """`rate` requests a second, in turn for each of `users`, `k` items each."""
        self.visits: list[Visit] = []
        self._users = users
        self._rate = rate
        self._k = k
        self._http = httpx.Client(base_url=base_url, timeout=PATIENCE_S)
        self._enough = threading.Event()
        self._clock = threading.Thread(target=self._run)

    def __enter__(self) -> Visitors:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._clock.join()
        self._http.close()

    def _run(self) -> None:
        begun = time.monotonic()
        with ThreadPoolExecutor(32, "visitor") as crowd:
            for number in count():
                due = begun + number / self._rate
                if self._enough.wait(max(0.0, due - time.monotonic())):
                    return
                crowd.submit(self._visit, self._users[number % len(self._users)], due)

    def _visit(self, user: str, due: float) -> None:
        sent = time.monotonic()
        try:
            answer = self._http.get(f"/api/recommendations/{user}", params={"limit": self._k})
            status, said = answer.status_code, orjson.loads(answer.content)
        except (httpx.TransportError, ValueError) as error:
            status, said = NO_ANSWER, {"error": repr(error)}
        self.visits.append(Visit(user, due, sent, time.monotonic() - due, status, said))
