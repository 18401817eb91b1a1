"""The judge of the matrix: it accepts the truth, and every planted lie turns it red."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.faults.matrix import Cell, judge
from tests.faults.proxy import Fault
from tests.faults.visitors import NO_ANSWER, Visit

KNOWN_ITEMS = frozenset("abcdef")
REDIS_OUT = Cell(frozenset({"redis"}), Fault.REFUSED)
CASSANDRA_OUT = Cell(frozenset({"cassandra"}), Fault.REFUSED)


def visit(
    user: str = "ann", seconds: float = 0.01, status: int = 200, items: str = "abcde", **said: Any
) -> Visit:
    """What Ann gets while Redis is out, unless said otherwise."""
    answer = {
        "user_id": user,
        "items": [{"id": item} for item in items],
        "bundle": "b",
        "features_from": "cassandra",
        "degraded": ["redis"],
        **said,
    }
    return Visit(user, 10.0, 10.0, seconds, status, answer)


def wrong(cell: Cell, *visits: Visit) -> set[str]:
    return set(judge(cell, visits, 0.0, KNOWN_ITEMS, busy_s=0.02).wrong)


def test_the_truth_is_accepted() -> None:
    nobody = visit("nobody", features_from=None)
    assert wrong(REDIS_OUT, visit(), nobody) == set()
    fine = visit(features_from="redis", degraded=[])
    unknown = visit("nobody", features_from=None, degraded=["cassandra"])
    assert wrong(CASSANDRA_OUT, fine, unknown) == set()


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (visit(status=500), "list: status 500"),
        (visit(status=NO_ANSWER), "list: status 599"),
        (replace(visit(status=503), kind="search"), "search: status 503"),
        (replace(visit(degraded=[]), kind="history"), "does not say that redis is out"),
        (replace(visit(user="", items="abcd"), kind="posted"), "too few items"),
        (visit(items="abcd"), "too few items"),
        (visit(items="aabcd"), "the same twice"),
        (visit(items="abcdz"), "no such item"),
        (visit(user_id="bob"), "another user's"),
        (visit(bundle=None), "no bundle"),
        (visit(seconds=0.5), "too slow"),
        (visit(degraded=[]), "does not say that redis is out"),
        (visit(features_from="redis"), "says it read redis"),
        (visit(features_from="redis+cassandra"), "says it read redis"),
        (visit(features_from=None), "says it read nothing, and that a store is there"),
        (visit(degraded=["redis", "cassandra"]), "says that a sound store is out"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_lie_is_found(planted: Visit, found: str) -> None:
    assert found in wrong(REDIS_OUT, planted)
