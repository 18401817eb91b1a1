"""What every item is called and whether it can be had: as the bundle says, and the stores since."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import chain, islice
from threading import Lock

from models.bundle import Bundle
from models.interactions import Ints
from serving.card import Card, Filter
from serving.described import Described

__all__ = ["Card", "Cards", "Catalogue", "Filter"]


class Catalogue:
    """Cards by item id: those of a bundle until the stores tell more.

    A card is kept of what differs from the bundle, or is not in it; the others are made when they
    are asked for. `withdrawn` are the items that cannot be had, so that a request needs cards only
    for what it shows.
    """

    def __init__(self) -> None:
        self._cards: dict[str, Card] = {}
        #: Their ids in order, for the pages of a search.
        self._ids: list[str] = []
        self._described: Described | None = None
        self.withdrawn: set[str] = set()
        self._withdrawn_from: tuple[Bundle, frozenset[int]] | None = None
        self._adding = Lock()

    def get(self, item_id: str) -> Card | None:
        """The card of an item, deleted ones included."""
        if card := self._cards.get(item_id):
            return card
        return self._described.card(item_id) if self._described else None

    def told(self, item_id: str) -> Card | None:
        """The card of an item that a store has described."""
        card = self._cards.get(item_id)
        if card is None and self._described and self._described.is_told(item_id):
            card = self._described.card(item_id)
        return card if card and card.live else None

    def put(self, card: Card) -> None:
        """Adds or replaces a card, as a store told it."""
        with self._adding:
            if self._described and self._described.takes(card):
                self._drop(card.item_id)
            else:
                self._keep(card)
            if (card.item_id in self.withdrawn) is card.offered:
                (self.withdrawn.discard if card.offered else self.withdrawn.add)(card.item_id)
                self._withdrawn_from = None

    def withdrawn_from(self, bundle: Bundle) -> frozenset[int]:
        """The positions of what cannot be had: a request has these at hand, and ids far away."""
        known = self._withdrawn_from
        if known is None or known[0] is not bundle:
            with self._adding:
                known = bundle, bundle.positions_of(self.withdrawn)
                self._withdrawn_from = known
        return known[1]

    def seed(self, bundle: Bundle) -> None:
        """The bundle speaks for its items that no store has described yet."""
        with self._adding:
            before, described = self._described, Described(bundle)
            told = described.succeeds(before) if before else ()
            cards = chain((c for c in told if c.item_id not in self._cards), self._cards.values())
            differ = {card.item_id: card for card in cards if not described.takes(card)}
            self._cards |= differ  # before the bundle changes, so that no request misses them
            self._described = described
            self._cards, self._ids = differ, sorted(differ)

    def search(self, words: str, wanted: Filter, after: str, limit: int) -> list[Card]:
        """The first cards, in order of id from behind `after`, that hold every word and fit.

        Words may occur in the title, the brand or the category.
        """
        said = words.lower().split()
        tiers = self._of_bundle(said, wanted, after), self._kept(said, wanted, after)
        return list(islice(merge(*tiers, key=lambda card: card.item_id), limit))

    def read_titles(self) -> None:
        """Prepares the search of a bundle's items, once; takes about a second of a million."""
        if self._described:
            self._described.titles  # noqa: B018 (made when it is first asked for)

    def _of_bundle(self, words: list[str], wanted: Filter, after: str) -> Iterator[Card]:
        described = self._described
        if described is None:
            return
        for position in described.titles.matching(words, wanted, after, described.prices):
            item_id = described.bundle.item_ids[position]
            if item_id not in self._cards and (card := described.card(item_id)):
                yield card

    def _kept(self, words: list[str], wanted: Filter, after: str) -> Iterator[Card]:
        for item_id in self._ids[bisect_right(self._ids, after) :]:
            card = self._cards.get(item_id)
            if card is None or not card.offered or wanted.objection(card):
                continue
            text = " ".join((card.title, card.brand or "", *card.category)).lower()
            if all(word in text for word in words):
                yield card

    def _keep(self, card: Card) -> None:
        if card.item_id not in self._cards:
            insort(self._ids, card.item_id)
        self._cards[card.item_id] = card

    def _drop(self, item_id: str) -> None:
        if self._cards.pop(item_id, None):
            del self._ids[bisect_left(self._ids, item_id)]


class Cards(dict[int, Card]):
    """The cards of some items by place, each looked up when it is first asked for."""

    def __init__(self, catalogue: Catalogue, item_ids: Sequence[str], positions: Ints) -> None:
        """`positions` (places,) in `item_ids`."""
        super().__init__()
        self._catalogue = catalogue
        self._item_ids = item_ids
        self._positions = positions

    def __missing__(self, place: int) -> Card:
        item_id = self._item_ids[self._positions[place]]
        self[place] = card = self._catalogue.get(item_id) or Card(item_id, item_id)
        return card
