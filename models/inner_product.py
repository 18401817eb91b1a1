"""The items whose factors have the largest inner product with a vector, among a million.

The factors are kept once more as 4-bit codes in order of their norms. No product is larger than
the product of both norms, so a scan from the longest on may end early, and the codes only choose
whom the exact factors then score. Norms of trained factors are very uneven: few rows are read.
What a scan costs is the memory that it reads, and so the codes are small.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_store.kernels import address, kernel
from models.interactions import Floats, Ints

Codes = npt.NDArray[np.uint8]

KERNEL: Final = Path(__file__).with_suffix(".c")
#: A code is 0 to 15, and `ZERO` for nothing; the vector's own have 8 bits.
ZERO: Final = 8
CODE: Final = 7
VECTOR_CODE: Final = 127
#: What the codes choose beyond what is asked for, so that their error costs few items.
SPARE_SHARE: Final = 0.2
SPARE: Final = 16
#: Rows that the kernel scans at a time.
ROWS: Final = 64
#: Rows coded at once: a block stays within tens of megabytes.
BLOCK: Final = 65_536


@dataclass(frozen=True)
class NormOrder:
    """Row r is item `order[r]`, whose factors are about `scales[r]` times its codes; `norms` falls.

    Shapes: `order` int32, `norms` and `scales` float32, (items,). `codes` uint8, (blocks, fours,
    `ROWS`, 2): of `ROWS` rows, four dimensions at a time; the lower half of a byte is of one of the
    first two, the upper half of one of the others.
    """

    order: Ints
    norms: Floats
    scales: Floats
    codes: Codes

    def __post_init__(self) -> None:
        if self.codes.shape[0] != -(-len(self.order) // ROWS) or self.codes.shape[2:] != (ROWS, 2):
            raise ValueError("ALS codes as an earlier version laid them out: run the nightly again")

    @classmethod
    def build(cls, factors: Floats) -> NormOrder:
        """From factors (items, rank); equal norms stay in the order of the items."""
        items, rank = factors.shape
        norms = np.linalg.norm(factors, axis=1).astype(np.float32)
        order = np.argsort(-norms, kind="stable").astype(np.int32)
        fours = -(-rank // 4)
        codes = np.zeros((-(-items // ROWS), fours, ROWS, 2), np.uint8)
        scales = np.empty(items, np.float32)
        for start in range(0, items, BLOCK):
            rows = slice(start, start + BLOCK)
            coded, scales[rows] = _coded(factors[order[rows]])
            padded = np.full((-(-len(coded) // ROWS) * ROWS, 4 * fours), ZERO, np.uint8)
            padded[: len(coded), :rank] = coded
            halves = padded.reshape(-1, ROWS, fours, 2, 2).transpose(3, 0, 2, 1, 4)
            codes[start // ROWS :][: halves.shape[1]] = halves[0] | halves[1] << 4
        return cls(order, norms[order], scales, codes)

    def search(self, factors: Floats) -> Search | None:
        """The search among the factors that these codes are of; None without a compiler."""
        library = kernel(KERNEL)
        return None if library is None else Search(self, np.ascontiguousarray(factors), library)


class Search:
    """Codes and factors bound to the kernel."""

    def __init__(self, by_norm: NormOrder, factors: Floats, library: ctypes.CDLL) -> None:
        self._best = library.best
        self._best.restype = ctypes.c_ssize_t
        self._held = by_norm, factors
        self._items = len(factors)
        #: What the kernel is told each time alike.
        self._given = (
            address(by_norm.codes, np.uint8),
            address(by_norm.scales, np.float32),
            address(by_norm.norms, np.float32),
            address(by_norm.order, np.int32),
            address(factors, np.float32),
            *(ctypes.c_ssize_t(size) for size in factors.shape),
        )

    def best(self, vector: Floats, cap: int) -> tuple[Ints, Floats]:
        """The `cap` items with the largest products above zero, and these, best first."""
        cap = min(cap, self._items)
        keep = min(self._items, int(cap * (1 + SPARE_SHARE)) + SPARE)
        unit = float(np.abs(vector).max(initial=0)) / VECTOR_CODE
        if cap == 0 or unit == 0:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        fours = -(-len(vector) // 4)
        coded = np.zeros(4 * fours, np.int8)
        coded[: len(vector)] = np.rint(vector / unit)
        wide = np.ascontiguousarray(vector, np.float32)
        heap = np.empty(keep, np.uint64)
        items, scores = np.empty(cap, np.int32), np.empty(cap, np.float32)
        found = self._best(
            *self._given,
            address(coded, np.int8),
            ctypes.c_ssize_t(fours),
            address(wide, np.float32),
            ctypes.c_float(float(np.linalg.norm(vector)) / unit),
            ctypes.c_ssize_t(keep),
            address(heap, np.uint64),
            ctypes.c_ssize_t(cap),
            address(items, np.int32),
            address(scores, np.float32),
        )
        return items[:found], scores[:found]


def _coded(factors: Floats) -> tuple[Codes, Floats]:
    """Each row in steps of a part of its largest value, and the steps."""
    steps = np.abs(factors).max(axis=1, initial=0.0) / CODE
    rows = np.rint(factors / np.where(steps > 0, steps, 1.0)[:, None])
    return (rows + ZERO).astype(np.uint8), steps.astype(np.float32)
