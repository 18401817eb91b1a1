"""The leaks that look like success, planted: each makes training rows depend on the answers.

The check is one: events of the basket itself and of later are injected, and no row may change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from batch import training_set
from batch.asof import AsOf
from batch.history import History
from batch.item_windows import windows_at
from feature_store.stores.base import UserState
from models.sources import Sources
from tests.builders import DAY, HOUR, NOON
from tests.unit.batch.builders import DECLARATION, event, history, sources

CUT, ASKED = NOON + 5 * DAY, NOON + 10 * DAY
KNOWN = (
    event("ann", "milk", 0),
    event("ann", "bread", 0),
    event("bob", "jam", HOUR),
    event("bob", "milk", 7 * DAY),
    event("ann", "milk", 10 * DAY),
)
#: Lines of the basket that is asked about, and what happens later.
UNKNOWN = (
    event("ann", "jam", 10 * DAY, price=900),
    event("ann", "bread", 10 * DAY),
    event("bob", "bread", 10 * DAY),
    event("bob", "bread", 11 * DAY, price=900),
    event("ann", "milk", 12 * DAY, "dislike"),
)

Fit = Callable[[History], Sources]


def honest(past: History) -> Sources:
    return sources(past, CUT)


def over_the_labels(past: History) -> Sources:
    """Planted: fitted on everything, and saying that it was not."""
    return replace(sources(past, past.end), cut_ms=CUT)


class LateItemColumns(AsOf):
    """Planted: item columns counted over the label window."""

    def __init__(self, declaration: object, past: History) -> None:
        super().__init__(DECLARATION, past)
        self._late = windows_at(DECLARATION, past, past.end)

    def advance(self, now: int) -> None:
        super().advance(now)
        self._columns = self._late


class SameMoment(AsOf):
    """Planted: lines with the basket's own timestamp count as known."""

    def user(self, actor: str, now: int) -> UserState:
        return super().user(actor, now + 1)


def depends_on_the_answers(fit: Fit) -> bool:
    """Whether what must be unknown changes a candidate or a column of ann's basket."""
    before, after = (_asked(past, fit) for past in (history(*KNOWN), history(*KNOWN, *UNKNOWN)))
    if not np.array_equal(before.candidates.positions, after.candidates.positions):
        return True
    return not np.array_equal(before.rows, after.rows, equal_nan=True)


def _asked(past: History, fit: Fit) -> training_set.Query:
    asked = [b for b in training_set.baskets(past, ASKED, ASKED + 1) if b.actor == "ann"]
    (query,) = training_set.build(DECLARATION, past, fit(past), asked)
    return query


def test_the_future_and_the_basket_itself_change_no_training_row() -> None:
    assert not depends_on_the_answers(honest)


def test_sources_fitted_over_the_label_window_are_found_out() -> None:
    assert depends_on_the_answers(over_the_labels)


@pytest.mark.parametrize("planted", [LateItemColumns, SameMoment])
def test_a_walk_that_knows_too_much_is_found_out(
    planted: type[AsOf], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_set, "AsOf", planted)
    assert depends_on_the_answers(honest)
