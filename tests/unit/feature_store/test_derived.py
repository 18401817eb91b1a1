"""What is derived when it is read, by hand, and that columns follow the declaration."""

from __future__ import annotations

import math

import numpy as np
import pytest

from feature_store import declaration
from feature_store.aggregates import Count
from feature_store.declaration import Declaration, Entity, Feature
from feature_store.derived import USER_DERIVED, item_derived, of_items, of_user
from feature_store.pairs import PAIR, Seen, of_pairs, of_pairs_by_numpy
from feature_store.sessions import Intent, intent
from feature_store.stores.base import Recent, UserState
from feature_store.tiles import DAY, DAYS_7, DAYS_28, TileSet
from feature_store.vectors import ItemColumns, columns, matrix, window_columns
from tests.builders import DAY as A_DAY
from tests.builders import HOUR, MINUTE, NOON

FEATURES = declaration.load("feature_store.features")
ITEMS = ("bread", "jam", "milk")
INDEX_OF = {item: position for position, item in enumerate(ITEMS)}
ATTRIBUTES = ItemColumns(
    np.zeros((3, len(window_columns(FEATURES, Entity.ITEM))), np.float32),
    category=np.asarray([0, 0, 1], np.int32),
    brand=np.asarray([-1, 0, 1], np.int32),
    price_minor=np.asarray([100, 200, np.nan], np.float32),
)


def did(item: str, ago: int, kind: str = "purchase", price: int = 100) -> Recent:
    return Recent(NOON - ago, f"e{ago}", kind, item, 1, price, "")


def user(*recents: Recent, tiles: TileSet | None = None) -> UserState:
    return UserState("ann", tiles or TileSet(), tuple(sorted(recents, reverse=True)))


def told(of: UserState) -> dict[str, float]:
    return dict(zip(USER_DERIVED, of_user(of, NOON), strict=True))


def about(item: str, *recents: Recent) -> dict[str, float]:
    candidates = np.asarray([INDEX_OF[item]], np.int32)
    (row,) = of_pairs(user(*recents).recents, ATTRIBUTES, INDEX_OF, candidates, NOON)
    return dict(zip(PAIR, row.tolist(), strict=True))


def test_of_a_stranger_little_is_known() -> None:
    known = told(user())
    unknown = [name for name, value in known.items() if math.isnan(value)]
    assert unknown == [
        "user_days_since_last", "user_days_between_visits",
        "user_mean_price_minor", "user_max_price_minor",
    ]  # fmt: skip
    assert sum(value for value in known.values() if not math.isnan(value)) == 0


def test_visits_prices_and_recency_come_from_the_last_interactions() -> None:
    known = told(
        user(
            did("milk", 8 * A_DAY, price=300),
            did("jam", 8 * A_DAY - MINUTE, price=100),
            did("bread", 5 * A_DAY, "view", price=900),
            did("milk", 2 * A_DAY, price=500),
        )
    )
    assert known["user_days_since_last"] == 2
    assert known["user_days_between_visits"] == pytest.approx(3)
    assert known["user_mean_price_minor"] == 300
    assert known["user_max_price_minor"] == 500
    assert known["user_session_events"] == 0


def test_active_days_are_the_day_tiles_of_four_weeks() -> None:
    today = DAY.start(NOON)
    tiles = TileSet((DAY, today - days * A_DAY, {}) for days in (0, 3, 27, 40))
    assert told(user(tiles=tiles))["user_active_days"] == 3


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((), Intent.AWAY),
        (("view", "click"), Intent.BROWSING),
        (("view", "search", "view"), Intent.SEARCHING),
        (("view", "search", "add_to_cart"), Intent.BUYING),
        (("purchase",), Intent.BUYING),
        (("view",) * 10 + ("purchase",), Intent.BROWSING),
    ],
)
def test_a_session_is_about_the_most_decided_of_its_newest_interactions(
    kinds: tuple[str, ...], expected: Intent
) -> None:
    newest_first = [did("milk", n * MINUTE, kind) for n, kind in enumerate(kinds)]
    assert intent(newest_first) is expected


def test_an_old_session_has_no_intent() -> None:
    assert told(user(did("milk", HOUR)))["user_session_intent"] == Intent.AWAY


def test_a_habit_is_the_time_between_visits_and_whether_it_has_passed() -> None:
    bought = [did("milk", days * A_DAY) for days in (22, 12, 2)]
    again = did("milk", 2 * A_DAY - MINUTE, "view")
    habit = about("milk", *bought, again)
    assert habit["pair_interactions"] == 4
    assert habit["pair_days_between_visits"] == pytest.approx(10, rel=1e-3)
    assert habit["pair_due"] == pytest.approx(0.2, rel=1e-2)


def test_once_is_no_habit_and_never_is_no_recency() -> None:
    once, never = about("milk", did("milk", A_DAY)), about("jam", did("milk", A_DAY))
    assert once["pair_days_since_last"] == 1
    assert math.isnan(once["pair_days_between_visits"])
    assert never["pair_interactions"] == 0
    assert math.isnan(never["pair_days_since_last"])
    assert math.isnan(about("milk")["pair_due"])


def test_affinity_is_the_share_of_ones_interactions_and_price_the_distance_from_the_usual() -> None:
    affinity = about("jam", did("bread", A_DAY), did("milk", 2 * A_DAY))
    assert affinity["pair_category_share"] == 0.5
    assert affinity["pair_brand_share"] == 0
    assert affinity["pair_price_log_ratio"] == pytest.approx(math.log(2))


def test_a_rate_begins_at_its_prior_and_follows_what_was_seen() -> None:
    names = window_columns(FEATURES, Entity.ITEM)
    windows = np.zeros((3, len(names)), np.float32)
    windows[:, names.index("item_views_28d")] = 0, 20, 1980
    windows[:, names.index("item_carts_28d")] = 0, 10, 990
    rates = of_items(FEATURES, windows, names)
    carts = rates[:, item_derived(FEATURES).index("item_view_to_cart")]
    np.testing.assert_allclose(carts, [0.05, 11 / 40, 991 / 2000], rtol=1e-6)


def test_a_rate_is_a_column_only_where_both_its_sides_are_declared() -> None:
    def declared(*windows: object) -> Declaration:
        return Declaration(
            tuple(
                Feature(name, Entity.ITEM, (kind,), Count(), (window,))  # type: ignore[arg-type]
                for name, kind, window in zip(
                    ("views", "carts"), ("view", "add_to_cart"), windows, strict=True
                )
            )
        )

    assert item_derived(declared(DAYS_28, DAYS_28)) == ("item_view_to_cart",)
    assert item_derived(declared(DAYS_28, DAYS_7)) == ()


def test_a_matrix_has_one_value_for_every_column() -> None:
    candidates = np.asarray([2, 0], np.int32)
    scores = np.full((2, 1), np.nan, np.float32)
    rows = matrix(FEATURES, user(did("milk", 1)), ATTRIBUTES, INDEX_OF, candidates, scores, NOON)
    names = columns(FEATURES, ("als",))
    assert rows.shape == (2, len(names))
    assert len(set(names)) == len(names)
    assert rows[:, names.index("pair_interactions")].tolist() == [1, 0]
    assert rows[:, names.index("item_view_to_purchase")].tolist() == pytest.approx([0.01, 0.01])


def test_the_kernel_tells_what_numpy_tells_of_pairs() -> None:
    size = 40
    index_of = {f"i{number}": number for number in range(size)}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        price = rng.integers(0, 900, size).astype(np.float32)
        price[::6] = np.nan
        codes = rng.integers(-1, 6, (2, size)).astype(np.int32)
        items = ItemColumns(ATTRIBUTES.windows, codes[0], codes[1], price)
        ago = np.sort(rng.integers(0, 600, rng.integers(0, 80))) * MINUTE
        recents = [did(f"i{rng.integers(0, size + 9)}", int(when)) for when in ago]
        asked = np.sort(rng.choice(size, 25, replace=False)).astype(np.int32)
        seen = Seen.of(recents, index_of)
        np.testing.assert_allclose(
            of_pairs(recents, items, index_of, asked, NOON),
            of_pairs_by_numpy(seen, items, asked, NOON),
            rtol=2e-6,
            equal_nan=True,
        )
