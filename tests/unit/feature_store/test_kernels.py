"""A kernel is told where values lie only if they are what it reads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from feature_store.kernels import location

TABLE = np.zeros((4, 6), np.float32)


@pytest.mark.parametrize("array", [TABLE, TABLE[:, 2:4], TABLE[:, 0:1], TABLE[:0], TABLE[0]])
def test_rows_without_gaps_have_an_address(array: npt.NDArray[np.float32]) -> None:
    assert location(array, np.float32) == array.ctypes.data


def test_what_may_not_be_written_has_an_address_too() -> None:
    mapped = TABLE.copy()
    mapped.flags.writeable = False
    assert location(mapped, np.float32) == mapped.ctypes.data


@pytest.mark.parametrize("array", [TABLE[:, ::2], TABLE[:, 0], TABLE.astype(np.float64)])
def test_other_values_and_gaps_have_none(array: npt.NDArray[np.floating]) -> None:
    with pytest.raises(TypeError, match="the kernel reads"):
        location(array, np.float32)
