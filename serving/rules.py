"""Step three of a request: which candidates may be shown, and how many of a kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, TypeVar

from feature_store.sessions import session
from feature_store.stores.base import Recent
from models.bundle import Bundle
from serving.ask import ANYTHING, Ask, Mode, mark
from serving.catalogue import Card, Filter

T = TypeVar("T")

#: Where fewer buyers than this ever bought again, what somebody has bought is done with.
RARELY: Final = 0.02
#: What a person does that settles whether an item is welcome; the newest of them holds.
REFUSALS: Final = frozenset({"dislike", "remove"})
WELCOMES: Final = frozenset({"like", "add_to_cart", "purchase"})


@dataclass(frozen=True, slots=True)
class Past:
    """An actor's items: all they had to do with, those bought, those bought that nobody repeats."""

    known: AbstractSet[str]
    bought: AbstractSet[str]
    done: AbstractSet[str]

    @classmethod
    def of(cls, ask: Ask, recents: Sequence[Recent], bundle: Bundle | None) -> Past:
        """From the stores, and from what the bundle knows of longer ago."""
        bought = {recent.item_id for recent in recents if recent.type == "purchase"}
        # Mixed lists do not ask what is known, and most lists are mixed.
        known = set() if ask.mode is Mode.MIXED else {recent.item_id for recent in recents}
        if bundle is None:
            return cls(known, bought, frozenset())
        items, times = bundle.sources.own.before(ask.actor)
        share, ids, index_of = bundle.sources.repeats.share, bundle.item_ids, bundle.index_of
        older = items[times > 0]
        done = {item for item in bought if item in index_of and share[index_of[item]] < RARELY}
        done |= {ids[position] for position in older[share[older] < RARELY]}
        if ask.mode is not Mode.MIXED:
            known |= {ids[position] for position in items}
            bought |= {ids[position] for position in older}
        return cls(known, bought, done)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one request. Called with an item's card, they say whether it may be shown.

    `forbidden` is reasons in words and the items that each holds for, `barred` all of these;
    `known` and `bought` are what the modes go by; `shown` are the marks of earlier pages. `plain`:
    nothing matters but `barred` and what is withdrawn, so that no card need be looked at.
    """

    mode: Mode
    filter: Filter
    forbidden: tuple[tuple[str, AbstractSet[str]], ...]
    barred: AbstractSet[str]
    known: AbstractSet[str]
    bought: AbstractSet[str]
    shown: AbstractSet[str]
    plain: bool

    @classmethod
    def build(
        cls, ask: Ask, about: Collection[str], blocked: AbstractSet[str],
        recents: Sequence[Recent], past: Past, now: int,
    ) -> Rules:  # fmt: skip
        """`about`: items the page is about."""
        forbidden: tuple[tuple[str, AbstractSet[str]], ...] = (
            ("the shop blocked it", blocked),
            ("you disliked or removed it", refused(recents)),
            ("you bought it just now", just_bought(recents, now)),
            ("you bought it, and people rarely buy it again", past.done),
            ("the page is about it", frozenset(about)),
            ("the request excluded it", ask.exclude),
        )
        return cls(
            mode=ask.mode,
            filter=ask.filter,
            forbidden=forbidden,
            barred=frozenset().union(*(items for _, items in forbidden)),
            known=past.known,
            bought=past.bought,
            shown=ask.shown,
            plain=ask.mode is Mode.MIXED and ask.filter == ANYTHING and not ask.shown,
        )

    def allow(self, card: Card) -> bool:
        """Whether the item may be shown in this answer."""
        return self.objection(card) is None

    def objection(self, card: Card) -> str | None:
        """Why the item may not be shown, in words; None when it may."""
        if not card.offered:
            return "it is no longer offered" if card.deleted else "it is not available now"
        for reason, items in self.forbidden:
            if card.item_id in items:
                return reason
        if said := self.filter.objection(card) or self._out_of_mode(card.item_id):
            return said
        if self.shown and mark(card.item_id) in self.shown:
            return "an earlier page showed it"
        return None

    def _out_of_mode(self, item_id: str) -> str | None:
        if self.mode is Mode.DISCOVER and item_id in self.known:
            return "mode=discover leaves out what you know"
        if self.mode is Mode.REPLENISH and item_id not in self.bought:
            return "mode=replenish is for what you bought before"
        return None


def just_bought(recents: Sequence[Recent], now: int) -> set[str]:
    """Items bought in the session that goes on at `now` (ms)."""
    return {recent.item_id for recent in session(recents, now) if recent.type == "purchase"}


def in_cart(recents: Sequence[Recent], now: int) -> tuple[str, ...]:
    """Items put into the cart this session and neither bought nor removed since, newest first."""
    settled: dict[str, str] = {}
    for recent in session(recents, now):
        if recent.type in {"add_to_cart", "remove", "purchase"}:
            settled.setdefault(recent.item_id, recent.type)
    return tuple(item_id for item_id, kind in settled.items() if kind == "add_to_cart")


def refused(recents: Sequence[Recent]) -> set[str]:
    """Items whose newest like, cart, purchase, dislike or removal is one of the last two."""
    settled: dict[str, bool] = {}
    for recent in recents:
        if recent.type in REFUSALS or recent.type in WELCOMES:
            settled.setdefault(recent.item_id, recent.type in REFUSALS)
    return {item_id for item_id, refusal in settled.items() if refusal}


@dataclass(frozen=True, slots=True)
class Caps:
    """The largest part of a list that one leaf category, and one brand, may have."""

    category: float
    brand: float

    def kinds(self, card: Card, wanted: Filter) -> list[str]:
        """What the item is one of, as far as that is capped and not asked for."""
        kinds = []
        if self.category < 1 and wanted.category is None and card.category:
            kinds.append(f"category {card.category[-1]}")
        if self.brand < 1 and wanted.brand is None and card.brand:
            kinds.append(f"brand {card.brand}")
        return kinds

    def of(self, kind: str, limit: int) -> int:
        """How many of a kind a list of `limit` may have: two at least."""
        return max(2, int(limit * (self.brand if kind.startswith("brand ") else self.category)))


def diversify(
    ranked: Sequence[T],
    kinds: Callable[[T], Sequence[str]],
    limit: int,
    cap: Callable[[str], int],
) -> list[T]:
    """The first `limit`, at most `cap` of a kind while others are left to take their place."""
    shown: list[T] = []
    spared: list[T] = []
    left: dict[str, int] = {}
    for item in ranked:
        if len(shown) == limit:
            break
        names = kinds(item)
        for name in names:
            if name not in left:
                left[name] = cap(name)
        if not all(left[name] > 0 for name in names):
            spared.append(item)
            continue
        for name in names:
            left[name] -= 1
        shown.append(item)
    return shown + spared[: limit - len(shown)]
