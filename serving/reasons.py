"""Says in words why an item is in the list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np

from feature_store.lookup import Places
from feature_store.stores.base import Recent, UserState
from models.bundle import Bundle
from models.interactions import Ints
from serving.catalogue import Catalogue

#: How many of the newest interactions may be named as a reason.
SEEDS: Final = 20
TITLE_SHOWN: Final = 60
VERBS: Final[Mapping[str, str]] = {
    "view": "viewed",
    "click": "viewed",
    "add_to_cart": "put in your cart",
    "purchase": "bought",
    "like": "liked",
    "rating": "rated",
}
FITTING: Final = "goes with"
SIMILAR: Final = "similar to"
PINNED: Final = "picked by the shop"
TRENDING: Final = "trending now"
AREA: Final = "popular in your area now"
POPULAR: Final = "popular"
TASTE: Final = "people with your taste bought this"


class Reasons:
    """The reasons of one answer, for items at `positions`.

    `about`: items its page is about; `local`: items that trend in the person's country.
    """

    def __init__(
        self, bundle: Bundle, catalogue: Catalogue, user: UserState, positions: Ints,
        about: Sequence[str] = (), local: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._local = local
        self._catalogue = catalogue
        self._bought = Counter(r.item_id for r in user.recents if r.type == "purchase")
        self._seen = {r.item_id: r for r in reversed(user.recents) if r.type in VERBS}
        self._near = _near(bundle, _seeds(bundle, user), positions)
        self._about = {
            int(near): f"{words} {self._title(item_id)}"
            for words, neighbours in (
                (SIMILAR, bundle.sources.content),
                (FITTING, bundle.sources.covisitation),
            )
            for item_id in reversed(about)
            if item_id in bundle.index_of
            for near in neighbours.of(bundle.index_of[item_id])[0]
        }

    def of(self, item_id: str, position: int, sources: tuple[str, ...]) -> str:
        """The most telling reason there is for an item that `sources` offered."""
        if position in self._about:
            return self._about[position]
        if "own" in sources:
            return self._own(item_id)
        if seed := self._near.get(position):
            return f"because you {VERBS[seed.type]} {self._title(seed.item_id)}"
        if item_id in self._local:
            return AREA
        return _general(sources)

    def _own(self, item_id: str) -> str:
        times = self._bought[item_id]
        if times > 1:
            return "you buy this often"
        if times == 1:
            return "you bought this before"
        if recent := self._seen.get(item_id):
            return f"you {VERBS[recent.type]} this"
        return "from your history"

    def _title(self, item_id: str) -> str:
        card = self._catalogue.get(item_id)
        title = card.title if card else item_id
        return title if len(title) <= TITLE_SHOWN else title[: TITLE_SHOWN - 1] + "…"


def _general(sources: tuple[str, ...]) -> str:
    """What can be said of an item by the sources that offered it."""
    if "als" in sources:
        return TASTE
    if "covisitation" in sources or "content" in sources:
        return "goes with what you usually pick"
    return TRENDING if "trending" in sources else POPULAR


def _seeds(bundle: Bundle, user: UserState) -> list[Recent]:
    """The newest interaction with each item that speaks for it, newest first."""
    newest: dict[str, Recent] = {}
    for recent in user.recents:
        if recent.type in VERBS and recent.item_id in bundle.index_of:
            newest.setdefault(recent.item_id, recent)
        if len(newest) == SEEDS:
            break
    return list(newest.values())


def _near(bundle: Bundle, seeds: Sequence[Recent], positions: Ints) -> dict[int, Recent]:
    """By position: the newest seed that it goes with, or else the newest that it is like."""
    rows = np.asarray([bundle.index_of[seed.item_id] for seed in reversed(seeds)], np.int32)
    wanted = np.sort(positions)
    near: dict[int, Recent] = {}
    for neighbours in (bundle.sources.content, bundle.sources.covisitation):
        offered = neighbours.items[rows].ravel()
        there = Places.of(offered, wanted).there.nonzero()[0]  # the newest last, so that it stays
        numbers = (there // neighbours.items.shape[1]).tolist()
        for position, number in zip(offered[there].tolist(), numbers, strict=True):
            near[position] = seeds[-1 - number]
    return near
