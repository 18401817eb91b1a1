"""Visitors of the API: they ask at a steady rate and write down what they got, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import httpx
import numpy as np
import orjson

#: A request that takes longer has failed.
PATIENCE_S = 10.0
#: uvicorn closes what was idle for 5 s, httpx by default too: a request may meet the closing.
LIMITS: Final = httpx.Limits(keepalive_expiry=2.0)
#: How often somebody who asks nobody wants to run.
BEAT_S = 0.01
#: Stands for a status where none came.
NO_ANSWER = 599


@dataclass(frozen=True)
class Asked:
    """Another read than a person's list, by what it is about; with a body it is posted."""

    kind: str
    user: str
    path: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Visit:
    """One request: when it was to be sent, how long it took from then, and what came back.

    `sent` is when it was: later, where the visitors' own machine was busy. `kind` is "list", or
    that of what was `Asked`.
    """

    user: str
    at: float
    sent: float
    seconds: float
    status: int
    said: dict[str, Any] = field(repr=False)
    kind: str = "list"

    @property
    def items(self) -> list[str]:
        """The ids of the list."""
        return [item["id"] for item in self.said.get("items", ())]


class Visitors:
    """`with Visitors(http, users, rate) as visitors:` … then `visitors.visits`."""

    def __init__(
        self, base_url: str, users: Sequence[str], rate: float, k: int = 5,
        also: Sequence[Asked] = (),
    ) -> None:  # fmt: skip
        """`rate` requests a second, in turn the list of each of `users`, `k` items each; with
        `also`, every other one is one of those.
        """
        self._also = also
        self.visits: list[Visit] = []
        self._users = users
        self._rate = rate
        self._k = k
        self._http = httpx.Client(base_url=base_url, timeout=PATIENCE_S, limits=LIMITS)
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
                crowd.submit(self._visit, self._asked(number), due)

    def _asked(self, number: int) -> Asked:
        if self._also:
            number, other = divmod(number, 2)
            if other:
                return self._also[number % len(self._also)]
        user = self._users[number % len(self._users)]
        return Asked("list", user, f"/api/recommendations/{user}?limit={self._k}")

    def _visit(self, asked: Asked, due: float) -> None:
        sent = time.monotonic()
        method = "GET" if asked.body is None else "POST"
        try:
            answer = self._http.request(method, asked.path, json=asked.body)
            status, said = answer.status_code, orjson.loads(answer.content)
        except (httpx.TransportError, ValueError) as error:
            status, said = NO_ANSWER, {"error": repr(error)}
        took = time.monotonic() - due
        self.visits.append(Visit(asked.user, due, sent, took, status, said, asked.kind))


class Pulse:
    """`with Pulse() as pulse:` … then `pulse.late_s`: how busy the machine was meanwhile.

    A thread that wants to run every `BEAT_S`, and asks nobody for anything.
    """

    def __init__(self) -> None:
        self._late: list[float] = []
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    @property
    def late_s(self) -> float:
        """The p99 of how late it came to run."""
        return float(np.quantile(self._late, 0.99)) if self._late else 0.0

    def _run(self) -> None:
        while not self._enough.is_set():
            due = time.monotonic() + BEAT_S
            time.sleep(BEAT_S)
            self._late.append(time.monotonic() - due)
