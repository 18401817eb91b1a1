"""The fault matrix of serving: what each broken dependency may cost an answer, and what not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tests.faults.proxy import Fault
from tests.faults.visitors import Asked, Visit

#: Items that every answer must have.
K: Final = 5
#: What a reader may wait for the stores: the deadlines of Redis and Cassandra, and 50 ms.
DEADLINE_S: Final = 0.100 + 0.250 + 0.050
#: Answers that were on their way when the fault came may still say that all was well.
SETTLES_S: Final = 0.5
STORES: Final = ("redis", "cassandra")
#: What is a list of recommendations, and what says from which store its user came.
LISTS: Final = frozenset({"list", "posted"})
READS_A_USER: Final = frozenset({"list", "user", "history"})
#: In both stores; anybody else is in neither.
KNOWN: Final = "ann"
#: Every other read of the API.
ALSO: Final = (
    Asked("item", "", "/api/items/tea"),
    Asked("search", "", "/api/items?q=dairy"),
    Asked("similar", "", "/api/items/milk/similar"),
    Asked("trending", "", "/api/trending?window=24h"),
    Asked("user", KNOWN, f"/api/users/{KNOWN}"),
    Asked("history", KNOWN, f"/api/users/{KNOWN}/history"),
    Asked("why", KNOWN, f"/api/recommendations/{KNOWN}/why/tea"),
    Asked("posted", "", "/api/recommendations", {"basket": ["milk"], "limit": K}),
)
#: On a busy machine a sound store, too, may miss its deadline, and to say so is the truth.
STRAYS: Final = 0.2


@dataclass(frozen=True)
class Cell:
    """One dependency, or several at once, and what is done to them."""

    hurt: frozenset[str]
    fault: Fault

    def __str__(self) -> str:
        return f"{'+'.join(sorted(self.hurt))} {self.fault}"


@dataclass(frozen=True)
class Verdict:
    """What is wrong with the answers (empty: nothing), and the figures of a cell."""

    wrong: dict[str, int]
    figures: dict[str, Any]


def judge(
    cell: Cell, visits: Sequence[Visit], since: float, known: frozenset[str], busy_s: float
) -> Verdict:
    """Holds every answer since the fault came (`since`, monotonic) against the promises.

    `known` are the items that exist; `busy_s` is what the machine is busy with anyway, and no
    dependency's doing: the p99 of the same load before the fault, and how late a thread that asks
    nobody came to run meanwhile.
    """
    seconds = np.asarray([visit.seconds for visit in visits])
    wrong = Counter(fault for visit in visits for fault in _wrong(visit, known))
    settled = [
        v for v in visits if v.at > since + SETTLES_S and v.status == 200 and v.kind in READS_A_USER
    ]
    wrong.update(lie for visit in settled for lie in _lies(cell, visit))
    strays = sum(not cell.hurt.issuperset(_out(visit)) for visit in settled)
    if strays > STRAYS * len(settled):
        wrong["says that a sound store is out"] += strays
    p99 = float(np.quantile(seconds, 0.99))
    if p99 > DEADLINE_S + busy_s:
        wrong["too slow"] += 1
    figures = {
        "requests": len(visits),
        "kinds": len({visit.kind for visit in visits}),
        "p50_ms": round(float(np.median(seconds)) * 1_000, 1),
        "p99_ms": round(p99 * 1_000, 1),
        "slowest": max(visits, key=lambda visit: visit.seconds).kind,
        "strays": strays,
        "busy_ms": round(busy_s * 1_000, 1),
        "degraded": dict(Counter(part for v in visits for part in v.said.get("degraded", ()))),
        "from": dict(Counter(str(visit.said.get("features_from")) for visit in visits)),
    }
    return Verdict(dict(wrong), figures)


def _wrong(visit: Visit, known: frozenset[str]) -> list[str]:
    """What no fault excuses."""
    if visit.status != 200:
        return [f"{visit.kind}: status {visit.status}"]
    if visit.kind not in LISTS:
        return []
    checks = {
        "too few items": len(visit.items) < K,
        "the same twice": len(set(visit.items)) < len(visit.items),
        "no such item": not known.issuperset(visit.items),
        "another user's": (visit.said["user_id"] or "") != visit.user,
        "no bundle": visit.said["bundle"] is None,
    }
    return [name for name, holds in checks.items() if holds]


def _lies(cell: Cell, visit: Visit) -> list[str]:
    """`degraded` and `features_from` against what is known to be broken."""
    origin, out = set(filter(None, (visit.said["features_from"] or "").split("+"))), _out(visit)
    known = visit.user == KNOWN and "redis" not in out
    asked = STORES[:1] if known else STORES
    lies = [f"does not say that {store} is out" for store in asked if store in cell.hurt - out]
    lies += [f"says it read {store}" for store in sorted(origin & cell.hurt)]
    if visit.user == KNOWN and not origin and not out.issuperset(STORES):
        lies.append("says it read nothing, and that a store is there")
    return lies


def _out(visit: Visit) -> set[str]:
    """The stores that the answer says are out."""
    return set(STORES).intersection(visit.said["degraded"])
