"""One actor with 100,000 events is learned from, asked about, and bends nobody else's list."""

from __future__ import annotations

import numpy as np

from batch.asof import AsOf
from batch.history import History
from models.retrieval import CAPS, retrieve
from tests.builders import MINUTE
from tests.unit.batch.builders import DECLARATION, event
from tests.unit.batch.market import DAYS_OF_HISTORY, fit, learned, market

HEAVY, EVENTS = "heavy", 100_000


def crowded() -> History:
    """The market, and somebody who looks at everything and buys a tenth of it, day and night."""
    past = market()
    ids, step = past.items.ids, DAYS_OF_HISTORY * 24 * 60 * MINUTE // EVENTS
    theirs = [
        event(HEAVY, ids[n % len(ids)], n * step, "view" if n % 10 else "purchase")
        for n in range(EVENTS)
    ]
    return past.keeping(sorted((*past.events, *theirs), key=lambda e: (e.event_time, e.event_id)))


def test_a_user_with_100_000_events_costs_and_bends_little() -> None:
    past = crowded()
    sources = fit(past, past.end)
    walk = AsOf(DECLARATION, past)
    walk.advance(past.end)
    user = walk.user(HEAVY, past.end)
    found = retrieve(sources, user, past.end, walk.trending(past.end))
    assert len(found.positions) <= min(sum(CAPS.values()), len(past.items.ids))
    assert np.isfinite(found.owned.strengths).all()
    assert (found.owned.bought <= EVENTS // 10).all()


def test_everybody_elses_lists_stay_as_good() -> None:
    def ndcg(past: History) -> float:
        rows = learned(past).outcomes.rows
        return float(rows[rows["actor"] != HEAVY].groupby("actor")["served"].mean().mean())

    assert ndcg(crowded()) > 0.9 * ndcg(market())
