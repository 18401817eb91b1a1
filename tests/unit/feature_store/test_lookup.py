"""What the small tables of a request say is what NumPy says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_store.lookup import Places, gather, side_by_side

POSITIONS = st.lists(st.integers(-1, 20), max_size=30)


@given(values=POSITIONS, held=st.sets(st.integers(-1, 20)))
def test_places_are_those_of_a_dictionary(values: list[int], held: set[int]) -> None:
    among = np.asarray(sorted(held), np.int32)
    wanted = {value: row * 10.0 for row, value in enumerate(sorted(held))}
    places = Places.of(np.asarray(values, np.int32), among)
    assert places.there.tolist() == [value in held for value in values]
    found = places.pick(np.arange(len(among)) * 10, otherwise=-7)
    assert found.tolist() == [wanted.get(value, -7.0) for value in values]


def test_columns_side_by_side_are_one_table() -> None:
    first, second = np.asarray([1, 2, 3]), np.asarray([4.5, np.nan, 6])
    table = side_by_side((first, second, 7.0), 3)
    np.testing.assert_array_equal(table, np.float32([[1, 4.5, 7], [2, np.nan, 7], [3, 6, 7]]))


def test_nobody_and_nothing_make_an_empty_table() -> None:
    assert side_by_side((), 4).shape == (4, 0)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 40])
def test_rows_far_apart_are_gathered_into_columns(count: int) -> None:
    rng = np.random.default_rng(count)
    rows = rng.random((50, 33), dtype=np.float32)
    places = rng.integers(0, 50, count).astype(np.int32)
    table = np.zeros((count, 40), np.float32)
    gather(rows, places, table[:, 4:37])
    np.testing.assert_array_equal(table[:, 4:37], rows[places])
    assert not table[:, :4].any()
    assert not table[:, 37:].any()
