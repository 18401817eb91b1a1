"""Finding items of a bundle by words: a scan of their titles by NumPy, a stretch at a time.

No word of the query has a blank in it, so it occurs in an item's text where it occurs in its title,
its brand or one name of its category. There are few categories and brands: each is looked at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from feature_store.lookup import Doubles
from models.bundle import Bundle
from serving.card import Filter

T = TypeVar("T")
Flags = npt.NDArray[np.bool_]

#: Titles looked at at once: a page of what is common needs few of them.
STRETCH: Final = 8_192
NONE: Final = np.zeros(0)


class Titles:
    """The titles of a bundle in order of item id: about 50 bytes an item."""

    def __init__(self, bundle: Bundle) -> None:
        ids, titles = bundle.item_ids, bundle.catalogue.titles
        self._bundle = bundle
        # By id, as the pages go; it costs nothing where the bundle is in that order.
        order = sorted(range(len(ids)), key=ids.__getitem__)
        self._order = np.asarray(order, np.int32)
        self._stretches = [
            _Stretch([titles[p] or ids[p] for p in order[start : start + STRETCH]])
            for start in range(0, len(order), STRETCH)
        ]
        self._categories = [" ".join(path).lower() for path in bundle.catalogue.categories]
        self._brands = [brand.lower() for brand in bundle.catalogue.brands]

    def matching(
        self, words: Sequence[str], wanted: Filter, after: str, prices: Callable[[], Doubles]
    ) -> Iterator[int]:
        """Positions in order of id, from behind `after`, of what holds every word and fits.

        `prices` tells them in minor units by position, if they are asked for.
        """
        bundle, ids = self._bundle, self._bundle.item_ids
        first = bisect_right(self._order, after, key=ids.__getitem__)
        kinds = _flags(bundle.catalogue.categories, lambda path: wanted.category in path)
        brands = _flags(bundle.catalogue.brands, lambda brand: wanted.brand == brand)
        least, most = wanted.price_min or 0.0, wanted.price_max
        priced = wanted.price_min is not None or most is not None
        price_minor = prices() if priced else NONE
        named = [(_encoded(word), *self._named(word)) for word in words]
        for number in range(first // STRETCH, len(self._stretches)):
            start, stretch = number * STRETCH, self._stretches[number]
            positions = self._order[start : start + STRETCH]
            category, brand = bundle.columns.category[positions], bundle.columns.brand[positions]
            fits = np.ones(len(positions), np.bool_)
            fits[: max(0, first - start)] = False
            if wanted.category is not None:
                fits &= kinds[category]
            if wanted.brand is not None:
                fits &= brands[brand]
            if priced:
                price = price_minor[positions] / 100
                fits &= (price >= least) & (price <= (np.inf if most is None else most))
            for word, categories, names in named:
                if not fits.any():
                    break
                fits &= stretch.holding(word) | categories[category] | names[brand]
            yield from positions[fits].tolist()

    def _named(self, word: str) -> tuple[Flags, Flags]:
        """By code: the categories and the brands that hold a word."""
        return _flags(self._categories, lambda t: word in t), _flags(
            self._brands, lambda t: word in t
        )


class _Stretch:
    """Some titles as one text, a line each."""

    def __init__(self, titles: Sequence[str]) -> None:
        lines = [_encoded(title.lower().replace("\n", " ")) for title in titles]
        self._text = b"\n".join(lines)
        self._starts = np.cumsum([0, *(len(line) + 1 for line in lines[:-1])], dtype=np.int32)

    def holding(self, word: bytes) -> Flags:
        """Which titles hold the word."""
        found = np.zeros(len(self._starts), np.bool_)
        if word in self._text:
            text = np.frombuffer(self._text, np.uint8)
            at = np.flatnonzero(text[: len(text) - len(word) + 1] == word[0])
            for place, byte in enumerate(word[1:], 1):
                at = at[text[at + place] == byte]
            found[np.searchsorted(self._starts, at, "right") - 1] = True
        return found


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _flags(named: Sequence[T], holds: Callable[[T], bool]) -> Flags:
    """By code, and False at the end, where -1 looks."""
    return np.asarray([*map(holds, named), False], np.bool_)
