"""The aggregates a feature may use: integer, commutative, mergeable.

Each says its meaning twice: in Python (`zero`, `add`, `merge`) for the reference engine and the
readers, and as one ANSI SQL expression that Flink and Spark both run. Spec tests hold the two
together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from feature_store.events import Interaction

#: Integer columns of an interaction that may be summed.
Measure = Literal["quantity", "amount_minor", "weight"]
MEASURES: Final = ("quantity", "amount_minor", "weight")


class Aggregate(Protocol):
    """An integer fold over events; the value of a window is the merge of its tiles."""

    def add(self, total: int, event: Interaction) -> int:
        """The total after one more event."""

    def merge(self, left: int, right: int) -> int:
        """The total of two disjoint sets of events."""

    def sql(self, condition: str) -> str:
        """The same fold as ANSI SQL, over rows where `condition` holds."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many events."""

    def add(self, total: int, event: Interaction) -> int:
        return total + 1

    def merge(self, left: int, right: int) -> int:
        return left + right

    def sql(self, condition: str) -> str:
        return f"SUM(CASE WHEN {condition} THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END)"


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a measure of the events."""

    measure: Measure

    def add(self, total: int, event: Interaction) -> int:
        return total + int(getattr(event, self.measure))

    def merge(self, left: int, right: int) -> int:
        return left + right

    def sql(self, condition: str) -> str:
        return f"SUM(CASE WHEN {condition} THEN {self.measure} ELSE CAST(0 AS BIGINT) END)"
