"""What the small tables of a request say is what NumPy says."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feature_store.lookup import Places, side_by_side, spread

POSITIONS = st.lists(st.integers(-1, 20), max_size=30)


@given(values=POSITIONS, held=st.sets(st.integers(-1, 20)))
def test_places_are_those_of_a_dictionary(values: list[int], held: set[int]) -> None:
    among = np.asarray(sorted(held), np.int32)
    wanted = {value: row * 10.0 for row, value in enumerate(sorted(held))}
    places = Places.of(np.asarray(values, np.int32), among)
    assert places.there.tolist() == [value in held for value in values]
    found = places.pick(np.arange(len(among)) * 10, otherwise=-7)
    assert found.tolist() == [wanted.get(value, -7.0) for value in values]


def test_columns_side_by_side_and_blocks_joined_are_one_table() -> None:
    first, second = np.asarray([1, 2, 3]), np.asarray([4.5, np.nan, 6])
    table = side_by_side((first, second, 7.0), 3)
    np.testing.assert_array_equal(table, np.float32([[1, 4.5, 7], [2, np.nan, 7], [3, 6, 7]]))
    whole, end = spread((np.float32([[9, 8]]), table), 3, room=2)
    assert (end, whole.shape) == (5, (3, 7))
    assert whole.flags.c_contiguous
    np.testing.assert_array_equal(whole[:, :end], np.hstack([np.float32([[9, 8]] * 3), table]))


def test_nobody_and_nothing_make_an_empty_table() -> None:
    assert side_by_side((), 4).shape == (4, 0)
    table, end = spread((np.zeros((0, 3), np.float32), np.zeros((1, 2), np.float32)), 0)
    assert (table.shape, end) == ((0, 5), 5)
