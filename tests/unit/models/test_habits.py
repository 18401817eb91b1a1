"""A habit is told from purchases alone, and from nothing that is not known yet."""

from __future__ import annotations

import numpy as np
import pytest

from feature_store.stores.base import Recent
from feature_store.vectors import ItemColumns
from models import own, repeats
from models.habits import HABIT, of_candidates, of_candidates_by_numpy
from tests.unit.models.builders import ITEMS, NOW, Row, log, recent

INDEX = {item: position for position, item in enumerate(ITEMS)}
#: Milk and tea are drinks, bread and butter are not; the rest is of no known kind.
CATEGORY = np.asarray([-1, 1, 1, -1, 0, 0], np.int32)
NOTHING = np.zeros(len(ITEMS), np.float32)
ATTRIBUTES = ItemColumns(NOTHING[:, None], CATEGORY, np.full(len(ITEMS), -1, np.int32), NOTHING)


def told(
    item: str, rows: list[Row], *recents: Recent, cut: int = NOW, actor: str = "ann"
) -> dict[str, float]:
    """Every habit column of one candidate."""
    history = own.fit(log(*rows).before(cut), cut, 30.0)
    owned = history.of(actor, recents, INDEX, NOW)
    again = repeats.fit(history, CATEGORY)
    asked = np.asarray([INDEX[item]], np.int32)
    (row,) = of_candidates(owned, again, ATTRIBUTES, asked, NOW)
    return dict(zip(HABIT, map(float, row), strict=True))


WEEKLY: list[Row] = [
    ("ann", "milk", "purchase", 24.0),
    ("ann", "milk", "purchase", 17.0),
    ("ann", "bread", "purchase", 17.0),
    ("ann", "milk", "purchase", 10.0),
    ("ann", "tea", "view", 3.0),
]


def test_how_often_how_lately_and_how_due() -> None:
    milk = told("milk", WEEKLY)
    assert milk["own_visits"] == 3
    assert milk["own_days_since"] == pytest.approx(10, abs=1e-3)
    assert milk["own_days_between"] == pytest.approx(7, abs=1e-3)
    assert milk["own_due"] == pytest.approx(10 / 7, abs=1e-3)
    assert (milk["user_turns"], milk["own_turn_share"], milk["own_turns_since"]) == (3, 1, 0)


def test_a_view_is_interest_and_no_habit() -> None:
    tea = told("tea", WEEKLY)
    assert tea["own_strength"] > 0
    assert tea["own_visits"] == 0
    assert np.isnan(tea["own_days_since"])
    assert np.isnan(tea["own_turns_since"])


def test_a_kind_is_counted_over_its_items_and_an_unknown_kind_not_at_all() -> None:
    assert told("tea", WEEKLY)["own_category_visits"] == 3
    assert told("butter", WEEKLY)["own_category_visits"] == 1
    assert told("jam", WEEKLY)["own_category_visits"] == 0
    assert np.isnan(told("jam", WEEKLY)["own_category_days_since"])


def test_last_night_and_the_hours_since_are_told_as_one() -> None:
    """A bundle of twelve days ago and live recents say what a bundle of now says."""
    live = [
        recent("milk", "purchase", 10.0, "a"),
        recent("tea", "view", 3.0, "b"),
    ]
    cut = NOW - 12 * 86_400_000
    for item in ("milk", "bread", "tea", "butter"):
        now = told(item, WEEKLY)
        then = told(item, WEEKLY, *live, cut=cut)
        mine = [name for name in HABIT if name.startswith(("own", "user")) and "others" not in name]
        assert [then[n] for n in mine] == pytest.approx([now[n] for n in mine], nan_ok=True)


def test_nothing_is_told_about_a_stranger() -> None:
    stranger = told("milk", WEEKLY, actor="new")
    assert stranger["own_strength"] == stranger["own_visits"] == stranger["user_turns"] == 0
    assert np.isnan(stranger["own_days_since"])
    assert stranger["item_repeat_share"] > 0


def test_repeatability_leans_on_the_category_where_an_item_has_few_buyers() -> None:
    rows: list[Row] = [
        *((f"u{n}", "milk", "purchase", days) for n in range(40) for days in (10.0, 3.0)),
        *((f"u{n}", "bread", "purchase", 10.0) for n in range(40)),
        ("z", "tea", "purchase", 10.0),
        ("z", "butter", "purchase", 10.0),
    ]
    again = repeats.fit(own.fit(log(*rows), NOW, 30.0), CATEGORY)
    share = dict(zip(ITEMS, again.share, strict=True))
    assert share["milk"] > share["tea"] > share["butter"] > share["bread"]
    assert again.days[INDEX["milk"]] == pytest.approx(7, rel=1e-3)


def test_where_nothing_was_bought_twice_nobody_knows_when_it_is_due() -> None:
    once = repeats.fit(own.fit(log(("ann", "milk", "purchase", 3.0)), NOW, 30.0), CATEGORY)
    assert np.isnan(once.days).all()
    assert (once.share < 1e-6).all()


def test_the_kernel_tells_what_numpy_tells() -> None:
    day, size = 86_400_000, 120
    for seed in range(30):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(0, 60))
        bought = rng.integers(0, 4, count).astype(np.int32)
        last = np.where(bought > 0, NOW - rng.integers(0, 90 * day, count), 0)
        span = np.where(bought > 1, rng.integers(0, 90 * day, count), 0)
        owned = own.Owned(
            items=np.sort(rng.choice(size, count, replace=False)).astype(np.int32),
            strengths=rng.normal(1, 1, count).astype(np.float32),
            bought=bought,
            first=np.where(bought > 0, last - span, own.NEVER),
            last=last,
            turn=np.where(bought > 0, rng.integers(1, 9, count), 0).astype(np.int32),
            turns=int(rng.integers(0, 12)),
        )
        share, days = rng.random((2, size), dtype=np.float32) * 40
        days[::7] = np.nan
        codes = rng.integers(-1, 9, (2, size)).astype(np.int32)
        asked = np.sort(rng.choice(size, 50, replace=False)).astype(np.int32)
        items = ItemColumns(NOTHING[:, None], codes[0], codes[1], NOTHING)
        given = (owned, repeats.Repeats(share, days), items, asked, NOW)
        np.testing.assert_allclose(
            of_candidates(*given), of_candidates_by_numpy(*given), rtol=1e-6, equal_nan=True
        )
