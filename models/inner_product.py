"""The items whose factors have the largest inner product with a vector, among a million.

The factors are kept once more as 8-bit codes in order of their norms. No product is larger than
the product of both norms, so a scan from the longest on may end early, and the codes only choose
whom the exact factors then score. Norms of trained factors are very uneven: few rows are read.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.interactions import Floats, Ints
from models.kernels import address, kernel

Codes = npt.NDArray[np.int8]

#: The largest value of a code, and of the vector's own 16-bit codes.
CODE: Final = 127
VECTOR_CODE: Final = 32_767
#: What the codes choose beyond what is asked for, so that their error costs no item.
SPARE_SHARE: Final = 0.2
SPARE: Final = 16
#: Rows coded at once: a block stays within tens of megabytes.
BLOCK: Final = 65_536


@dataclass(frozen=True)
class NormOrder:
    """Row r is item `order[r]`, whose factors are about `scales[r] * codes[r]`; `norms` falls.

    Shapes: `order` int32, `norms` and `scales` float32, all (items,); `codes` int8 (items, rank).
    """

    order: Ints
    norms: Floats
    scales: Floats
    codes: Codes

    @classmethod
    def build(cls, factors: Floats) -> NormOrder:
        """From factors (items, rank); equal norms stay in the order of the items."""
        norms = np.linalg.norm(factors, axis=1).astype(np.float32)
        order = np.argsort(-norms, kind="stable").astype(np.int32)
        codes = np.empty(factors.shape, np.int8)
        scales = np.empty(len(factors), np.float32)
        for start in range(0, len(factors), BLOCK):
            rows = slice(start, start + BLOCK)
            codes[rows], scales[rows] = _coded(factors[order[rows]])
        return cls(order, norms[order], scales, codes)

    @cached_property
    def _addresses(self) -> tuple[Any, ...]:
        """What the kernel is told of the arrays: each request asks with the same ones."""
        arrays = (address(array) for array in (self.codes, self.scales, self.norms))
        return (*arrays, *(ctypes.c_ssize_t(size) for size in self.codes.shape))

    def largest(self, vector: Floats, count: int) -> Ints | None:
        """Items, ascending, that hold the `count` largest products above zero, and some more.

        None where the kernel cannot be compiled.
        """
        library = kernel("inner_product")
        if library is None:
            return None
        keep = min(len(self.order), int(count * (1 + SPARE_SHARE)) + SPARE)
        unit = float(np.abs(vector).max()) / VECTOR_CODE
        if keep == 0 or unit == 0:
            return np.zeros(0, np.int32)
        coded = np.rint(vector / unit).astype(np.int16)
        places, products = np.empty(keep, np.int32), np.empty(keep, np.float32)
        library.best(
            *self._addresses,
            address(coded),
            ctypes.c_float(float(np.linalg.norm(vector)) / unit),
            ctypes.c_ssize_t(keep),
            address(products),
            address(places),
        )
        return np.sort(self.order[places[places >= 0]])


def _coded(factors: Floats) -> tuple[Codes, Floats]:
    """Each row in steps of its largest value, and the steps."""
    steps = np.abs(factors).max(axis=1, initial=0.0) / CODE
    rows = np.rint(factors / np.where(steps > 0, steps, 1.0)[:, None])
    return rows.astype(np.int8), steps.astype(np.float32)
