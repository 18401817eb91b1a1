"""Implicit ALS, loaded: item factors, and a user folded in from what is known this second.

A user vector solves the same equations the factors were trained with (Hu, Koren, Volinsky 2008):
(YtY + sum c y yt + ridge * I) x = sum (1 + c) y, where c = alpha * |r|, and items with r < 0 pull
towards zero. The ridge is Spark's, regularisation * n with n the number of items with r > 0, or
plain regularisation, as in the `implicit` package: the rule says which.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_store.kernels import Address, address, kernel
from models.inner_product import NormOrder, Search
from models.interactions import Floats, Ints
from models.topk import top

KERNEL: Final = Path(__file__).with_suffix(".c")
#: Below so many items a scan of the factors themselves is as quick as one of their codes.
FEW: Final = 10_000
#: Rows widened at once for YtY.
BLOCK: Final = 65_536


@dataclass(frozen=True, slots=True)
class Rule:
    """How the factors were trained; folding in by any other rule ruins them."""

    rank: int
    alpha: float
    regularisation: float
    iterations: int
    #: Whether a person's ridge grows with what they like, as in Spark.
    scaled: bool = True

    def ridge(self, likes: npt.NDArray[np.int64]) -> Floats:
        """What is added to the diagonal for rows with so many liked items, (rows,)."""
        counts = likes if self.scaled else np.ones_like(likes)
        return (self.regularisation * counts).astype(np.float32)


def rating(strength: Floats) -> Floats:
    """The rating of an item: log-damped strength, so one habit cannot drown the rest."""
    damped: Floats = (np.sign(strength) * np.log1p(np.abs(strength))).astype(np.float32)
    return damped


@dataclass(frozen=True)
class Als:
    """Item factors of shape (items, rank), zeros where an item was not trained.

    `gram` is YtY, and `by_norm` the factors once more as they are searched.
    """

    rule: Rule
    factors: Floats
    gram: npt.NDArray[np.float64]
    by_norm: NormOrder

    @classmethod
    def build(cls, rule: Rule, factors: Floats) -> Als:
        """From factors in the order of the bundle's `item_ids`; raises `ValueError` for NaN."""
        factors = np.ascontiguousarray(factors, np.float32)
        gram = np.zeros((factors.shape[1], factors.shape[1]))
        for start in range(0, len(factors), BLOCK):
            wide = factors[start : start + BLOCK].astype(np.float64)
            gram += wide.T @ wide
        cls.check(gram)
        return cls(rule, factors, gram, NormOrder.build(factors))

    @staticmethod
    def check(gram: npt.NDArray[np.float64]) -> None:
        """Raises `ValueError` unless it is finite, as it is for finite factors only."""
        if not np.isfinite(gram).all():
            raise ValueError("ALS factors that are not finite: the training has diverged")

    def fold_in(self, items: Ints, strengths: Floats) -> Floats | None:
        """A user's vector (rank,) from items and strengths; None for nothing known or liked."""
        library = kernel(KERNEL)
        if library is None:
            return self.fold_in_by_numpy(items, strengths)
        rank, rule = self.factors.shape[1], self.rule
        ratings, rows = rating(strengths), np.ascontiguousarray(items, np.int32)
        left, right = np.empty((rank, rank)), np.empty((3, rank))
        user = np.empty(rank, np.float32)
        solved = library.fold_in(
            *self._given,
            address(rows, np.int32),
            address(ratings, np.float32),
            ctypes.c_ssize_t(len(rows)),
            ctypes.c_double(rule.alpha),
            ctypes.c_double(rule.regularisation),
            ctypes.c_int(rule.scaled),
            address(left, np.float64),
            address(right, np.float64),
            address(user, np.float32),
        )
        if solved < 0:
            raise np.linalg.LinAlgError("ALS without regularisation, and too little to tell from")
        return user if solved else None

    def fold_in_by_numpy(self, items: Ints, strengths: Floats) -> Floats | None:
        """The same where there is no compiler, and what the kernel is held against."""
        ratings = rating(strengths).astype(np.float64)
        factors = np.asarray(self.factors[items], dtype=np.float64)
        known = factors.any(axis=1) & (ratings != 0)
        factors, ratings = factors[known], ratings[known]
        liked = ratings > 0
        if not liked.any():
            return None
        confidence = self.rule.alpha * np.abs(ratings)
        ridge = self.rule.ridge(np.asarray([np.count_nonzero(liked)]))[0]
        left = self.gram + factors.T @ (factors * confidence[:, None])
        left.flat[:: len(left) + 1] += ridge  # the diagonal
        right = factors.T @ np.where(liked, 1.0 + confidence, 0.0)
        solved: npt.NDArray[np.float64] = np.linalg.solve(left, right)
        return solved.astype(np.float32)

    def candidates(self, items: Ints, strengths: Floats, cap: int) -> tuple[Ints, Floats]:
        """The `cap` best items for a user with this history, and their scores."""
        user = self.fold_in(items, strengths)
        if user is None:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        return self.best(user, cap)

    def best(self, user: Floats, cap: int) -> tuple[Ints, Floats]:
        """The `cap` items with the highest scores above zero for a vector (rank,)."""
        if self._search is None:
            return top(self.factors @ user, cap)
        return self._search.best(user, cap)

    @cached_property
    def _search(self) -> Search | None:
        """None where a scan of the factors is as quick, or all there is."""
        return self.by_norm.search(self.factors) if len(self.factors) > FEW else None

    @cached_property
    def _given(self) -> tuple[Address | ctypes.c_ssize_t, ...]:
        """What the kernel is told each time alike."""
        rank = ctypes.c_ssize_t(self.factors.shape[1])
        return address(self.factors, np.float32), address(self.gram, np.float64), rank
