"""The aggregates a feature may use: commutative and mergeable, integers or lists of them.

Each says its meaning twice: in Python (`zero`, `add`, `merge`, `value`) for the reference engine
and the readers, and as SQL for Flink and for Spark. Spec tests hold the three together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from heapq import merge as merge_sorted
from itertools import groupby, islice
from typing import ClassVar, Final, Literal, Protocol, TypeVar

from feature_store.events import HASH_BITS, Interaction

T = TypeVar("T")
Dialect = Literal["flink", "spark"]

#: Integer columns of an interaction that may be summed.
Measure = Literal["quantity", "amount_minor", "weight"]
MEASURES: Final = ("quantity", "amount_minor", "weight")

#: What may be told apart, and the column that holds its hash.
HASHES: Final = {"actor": "actor_hash"}
#: Of a 64-bit integer with its sign.
DIGITS: Final = 20
#: Hashes that a sketch keeps: 32 of them err by about 18 % (one standard deviation).
SKETCH_SIZE: Final = 32


class Aggregate(Protocol[T]):
    """A fold over events; a window is read from the merge of its tiles."""

    @property
    def zero(self) -> T:
        """The total of no events; a tile does not spell it."""

    @property
    def widest(self) -> int:
        """Characters that a total takes in a tile, at most."""

    @property
    def decays(self) -> bool:
        """Whether a share of a total means something: only then may a window fade with age."""

    def add(self, total: T, event: Interaction) -> T:
        """The total after one more event."""

    def merge(self, left: T, right: T) -> T:
        """The total of two sets of events."""

    def merged(self, totals: Iterable[T]) -> T:
        """The total of many sets of events."""

    def value(self, total: T) -> float:
        """What a reader sees of a total."""

    def sql(self, condition: str, dialect: Dialect) -> str:
        """The same fold as SQL over the rows where `condition` holds; NULL for `zero`."""


class _Additive:
    """What sums share: zero is 0 and totals add up."""

    __slots__ = ()
    zero: Final = 0
    widest: Final = DIGITS
    decays: Final = True

    def merge(self, left: int, right: int) -> int:
        return left + right

    def merged(self, totals: Iterable[int]) -> int:
        return sum(totals)

    def value(self, total: int) -> float:
        return total


@dataclass(frozen=True, slots=True)
class Count(_Additive):
    """How many events."""

    def add(self, total: int, event: Interaction) -> int:
        return total + 1

    def sql(self, condition: str, dialect: Dialect) -> str:
        return _sum(condition, "CAST(1 AS BIGINT)")


@dataclass(frozen=True, slots=True)
class Sum(_Additive):
    """The sum of a measure of the events."""

    measure: Measure

    def add(self, total: int, event: Interaction) -> int:
        return total + int(getattr(event, self.measure))

    def sql(self, condition: str, dialect: Dialect) -> str:
        return _sum(condition, self.measure)


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different actors: the smallest `size` hashes, in order, each once (a KMV sketch).

    Exact below `size`, an estimate from there on. It is equal in every engine, because which
    hashes are the smallest depends neither on order nor on copies.
    Bar-Yossef et al., "Counting distinct elements in a data stream" (2002).
    """

    measure: Literal["actor"] = "actor"
    size: int = SKETCH_SIZE
    decays: ClassVar[bool] = False

    @property
    def zero(self) -> list[int]:
        return []

    @property
    def widest(self) -> int:
        return self.size * (DIGITS + len(",")) + len("[]")

    def add(self, total: list[int], event: Interaction) -> list[int]:
        return self.merge(total, [getattr(event, HASHES[self.measure])])

    def merge(self, left: list[int], right: list[int]) -> list[int]:
        once = (value for value, _ in groupby(merge_sorted(left, right)))
        return list(islice(once, self.size))

    def merged(self, totals: Iterable[list[int]]) -> list[int]:
        return reduce(self.merge, totals, self.zero)

    def value(self, total: Sequence[int]) -> float:
        return estimate(total, self.size)

    def sql(self, condition: str, dialect: Dialect) -> str:
        hashed = f"CASE WHEN {condition} THEN {HASHES[self.measure]} END"
        if dialect == "flink":
            return f"bottom_k({hashed}, {self.size})"
        smallest = f"SLICE(ARRAY_SORT(COLLECT_SET({hashed})), 1, {self.size})"
        return f"NULLIF({smallest}, CAST(ARRAY() AS ARRAY<BIGINT>))"


def estimate(smallest: Sequence[int], size: int) -> float:
    """How many different hashes there were, if these are the `size` smallest, in order.

    They lie evenly in [0, 2^63), so `size - 1` of them below the last one says how dense they are.
    """
    if len(smallest) < size:
        return len(smallest)
    return (size - 1) * 2.0**HASH_BITS / max(1, smallest[size - 1])


def _sum(condition: str, column: str) -> str:
    return f"NULLIF(SUM(CASE WHEN {condition} THEN {column} ELSE CAST(0 AS BIGINT) END), 0)"
