"""The data gate says in a sentence what is wrong, and nothing when all is well."""

from __future__ import annotations

import pandas as pd
import pytest

from batch.validate import DAYS, TOTAL, DataRefused, Report, examine

DAY = {
    "day": "2026-03-10", "events": 10, "no_actor": 0, "no_event_id": 0, "no_item": 0,
    "unknown_type": 0, "least_quantity": 1, "most_quantity": 3, "least_price": 0,
    "ahead_of_arrival": 0,
}  # fmt: skip


def report(invalid_share: float, **changed: float) -> Report:
    totals = pd.DataFrame([{"messages": 10, "invalid_share": invalid_share}])
    days = pd.DataFrame([DAY, {**DAY, "day": "2026-03-11", **changed}])
    return examine([("interactions", totals, TOTAL), ("days", days, DAYS)])


def test_a_good_night_passes() -> None:
    found = report(0.01)
    assert found.failures == ()
    found.require()


def test_a_broken_producer_shuts_the_gate() -> None:
    found = report(0.4, unknown_type=2)
    assert len(found.failures) == 2
    with pytest.raises(DataRefused, match=r"invalid_share is \[0\.4\], expected .*0\.05"):
        found.require()


def test_an_empty_log_shuts_the_gate() -> None:
    empty = pd.DataFrame([{"messages": 0, "invalid_share": 0.0}])
    assert "messages" in examine([("interactions", empty, TOTAL)]).failures[0]
