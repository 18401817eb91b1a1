"""Step three of a request: which candidates may be shown, and how many of a kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from feature_store.sessions import session
from feature_store.stores.base import Recent, UserState
from serving.catalogue import Card

T = TypeVar("T")

#: What a person does that settles whether an item is welcome; the newest of them holds.
REFUSALS: Final = frozenset({"dislike", "remove"})
WELCOMES: Final = frozenset({"like", "add_to_cart", "purchase"})


class Mode(StrEnum):
    """What the request is for."""

    MIXED = "mixed"
    DISCOVER = "discover"
    REPLENISH = "replenish"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one request. Called with an item's card, they say whether it may be shown."""

    mode: Mode
    category: str | None
    forbidden: AbstractSet[str]
    touched: AbstractSet[str]
    bought: AbstractSet[str]

    @classmethod
    def build(
        cls,
        mode: Mode,
        category: str | None,
        blocked: AbstractSet[str],
        user: UserState,
        known_before: Iterable[str],
        now: int,
    ) -> Rules:
        """`known_before`: items of the user's older history; it says interest, not what kind."""
        recents = user.recents
        bought_now = {r.item_id for r in session(recents, now) if r.type == "purchase"}
        bought = {r.item_id for r in recents if r.type == "purchase"}
        older = set(known_before) if mode is not Mode.MIXED else set()
        return cls(
            mode=mode,
            category=category,
            forbidden=blocked | refused(recents) | bought_now,
            touched=older | {r.item_id for r in recents},
            bought=older | bought,
        )

    def allow(self, card: Card) -> bool:
        """Whether the item may be shown in this answer."""
        return (
            card.offered
            and card.item_id not in self.forbidden
            and (self.category is None or self.category in card.category)
            and self._fits_mode(card.item_id)
        )

    def _fits_mode(self, item_id: str) -> bool:
        if self.mode is Mode.DISCOVER:
            return item_id not in self.touched
        return self.mode is Mode.MIXED or item_id in self.bought


def refused(recents: Sequence[Recent]) -> set[str]:
    """Items whose newest like, cart, purchase, dislike or removal is one of the last two."""
    settled: dict[str, bool] = {}
    for recent in recents:
        if recent.type in REFUSALS or recent.type in WELCOMES:
            settled.setdefault(recent.item_id, recent.type in REFUSALS)
    return {item_id for item_id, refusal in settled.items() if refusal}


def diversify(ranked: Sequence[T], kind: Callable[[T], str], limit: int, cap: int) -> list[T]:
    """The first `limit`, at most `cap` of a kind while others are left to take their place."""
    shown: list[T] = []
    spared: list[T] = []
    seen: Counter[str] = Counter()
    for item in ranked:
        if len(shown) == limit:
            break
        name = kind(item)
        if name and seen[name] >= cap:
            spared.append(item)
            continue
        seen[name] += 1
        shown.append(item)
    return shown + spared[: limit - len(shown)]
