"""Repeatability: whether and how soon people buy a thing again, learned per item and category."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_store.kernels import Address, address
from feature_store.tiles import DAY_MS
from models.interactions import Floats, Ints
from models.own import OwnHistory

#: So many buyers of an item weigh as much as what its category does, and those of a category as
#: much as the whole shop.
PRIOR_BUYERS: Final = 10.0

_Numbers = npt.NDArray[np.number[Any]]


@dataclass(frozen=True)
class Repeats:
    """By item, (items,): the share of its buyers who bought it in a second visit, and the days
    between two purchases of those who did; NaN while nobody bought anything twice.
    """

    share: Floats
    days: Floats

    @cached_property
    def lie(self) -> tuple[Address, Address]:
        """Where both are, for kernels."""
        return address(self.share, np.float32), address(self.days, np.float32)


def fit(own: OwnHistory, category: Ints) -> Repeats:
    """Shrunk towards the category (codes by item, -1 for unknown), and that towards the whole."""
    bought = own.bought > 0
    item, visits = own.items[bought], own.bought[bought]
    again = (visits > 1).astype(np.float64)
    span = (own.last[bought] - own.first[bought]) / DAY_MS
    count = len(category)
    buyers = np.bincount(item, minlength=count).astype(np.float64)
    pauses = np.bincount(item, visits - 1, count)
    return Repeats(
        share=_shrunk(np.bincount(item, again, count), buyers, category),
        days=_shrunk(np.bincount(item, span, count), pauses, category),
    )


def _shrunk(total: _Numbers, number: _Numbers, category: Ints) -> Floats:
    """total / number by item, with the category's mean and the whole's as believed before."""
    codes = category + 1
    overall = total.sum() / number.sum() if number.sum() else np.nan
    totals, numbers = np.bincount(codes, total), np.bincount(codes, number)
    mean = (totals + PRIOR_BUYERS * overall) / (numbers + PRIOR_BUYERS)
    shrunk = (total + PRIOR_BUYERS * mean[codes]) / (number + PRIOR_BUYERS)
    return np.asarray(shrunk, np.float32)
