"""What goes with one item, for nobody in particular."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from models.als import Als
from models.bundle import Bundle
from models.interactions import Floats, Ints
from models.topk import top_of
from serving.catalogue import Card, Catalogue

#: How many each source may offer.
CAP: Final = 60
#: Items with the largest products with an item's factors, whose angles are looked at.
LOOKED_AT: Final = 500
#: The sources, the most telling first, and what each one's offer means in words.
REASONS: Final[Mapping[str, str]] = {
    "covisitation": "often bought together",
    "content": "alike",
    "als": "liked by the same people",
}


@dataclass(frozen=True, slots=True)
class Near:
    """One item that goes with another; `score` is 1 where every source puts it first."""

    card: Card
    score: float
    sources: tuple[str, ...]

    @property
    def reason(self) -> str:
        """What the most telling source says."""
        return REASONS[self.sources[0]]


def similar(
    bundle: Bundle,
    item_id: str,
    limit: int,
    catalogue: Catalogue,
    blocked: AbstractSet[str] = frozenset(),
) -> list[Near]:
    """Offered items that are not `blocked`, best first: the mean over sources of 1/rank.

    [] for an item that no bundle knows.
    """
    position = bundle.index_of.get(item_id)
    if position is None:
        return []
    sources = bundle.sources
    offers = {
        "covisitation": sources.covisitation.of(position)[0],
        "content": sources.content.of(position)[0],
    }
    offers["als"] = _alike(sources.als, position, offers.values())
    scores: dict[int, float] = {}
    for offered in offers.values():
        for rank, near in enumerate(offered.tolist(), 1):
            scores[near] = scores.get(near, 0.0) + 1 / rank / len(offers)
    ranked = sorted(scores, key=lambda near: (-scores[near], near))
    told = (_near(bundle, near, scores[near], offers, catalogue) for near in ranked)
    may = (n for n in told if n.card.offered and n.card.item_id not in blocked)
    return list(islice(may, limit))


def _near(
    bundle: Bundle, position: int, score: float, offers: Mapping[str, Ints], catalogue: Catalogue
) -> Near:
    item_id = bundle.item_ids[position]
    names = tuple(name for name, offered in offers.items() if position in offered)
    return Near(catalogue.get(item_id) or Card(item_id, item_id), score, names)


def _alike(als: Als, position: int, others: Iterable[Ints]) -> Ints:
    """Items whose factors point the same way, best first; none for an untrained item.

    Of those with the largest products, and of `others`: the angle to every item would take the
    factors of a million of them, squared, for one answer.
    """
    mine = np.asarray(als.factors[position])
    if not mine.any():
        return np.zeros(0, np.int32)
    near = np.unique(np.concatenate([als.best(mine, LOOKED_AT)[0], *others]))
    near = near[near != position]
    factors = np.asarray(als.factors[near])
    lengths: Floats = np.linalg.norm(factors, axis=1)
    cosines = factors @ mine / np.maximum(lengths * np.linalg.norm(mine), 1e-9)
    return top_of(near, cosines.astype(np.float32), CAP)[0]
