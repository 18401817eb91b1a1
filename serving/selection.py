"""From a ranked order to the places of one page: caps, newcomers, earlier pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np

from models.diversity import mmr
from models.interactions import Ints
from serving.ask import Ask
from serving.catalogue import Card
from serving.curation import PINNED_SHARE
from serving.rules import Caps, diversify

#: One place in this many may go to a trending item that no bundle knows yet.
NEWCOMER_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class Page:
    """What the shop pinned, rows of the candidates, and items that no bundle knows.

    `skipped` are the items of earlier pages.
    """

    pinned: Sequence[Card] = ()
    rows: Sequence[int] = ()
    new: Sequence[Card] = ()
    skipped: tuple[str, ...] = ()


def select(
    ask: Ask,
    caps: Caps,
    order: Sequence[int],
    cards: Mapping[int, Card],
    new: Sequence[Card],
    pinned: Sequence[Card],
) -> Page:
    """The page asked for, counted from where the cursor stands."""
    if ask.shown:
        pinned = ()
    kept = islice(_pages(ask, caps, order, cards, new, pinned), ask.page)
    *earlier, page = [*kept] or [Page()]
    if len(earlier) < ask.page - 1:
        earlier, page = [*earlier, page], Page()
    skipped = [cards[row].item_id for seen in earlier for row in seen.rows]
    skipped += [card.item_id for seen in earlier for card in (*seen.pinned, *seen.new)]
    return replace(page, skipped=tuple(skipped))


def _pages(
    ask: Ask,
    caps: Caps,
    order: Sequence[int],
    cards: Mapping[int, Card],
    new: Sequence[Card],
    pinned: Sequence[Card],
) -> Iterator[Page]:
    first = pinned[: -(-ask.limit // PINNED_SHARE)]
    ids = {card.item_id for card in first}
    rows = [row for row in order if cards[row].item_id not in ids] if ids else list(order)
    waiting = [card for card in new if card.item_id not in ids]
    while first or rows or waiting:
        limit = ask.limit - len(first)
        places = min(limit, len(waiting), max(ask.limit // NEWCOMER_SHARE, limit - len(rows)))
        chosen = diversify(
            rows,
            lambda row: caps.kinds(cards[row], ask.filter),
            limit - places,
            lambda kind: caps.of(kind, ask.limit),
        )
        yield Page(first, chosen, waiting[:places])
        first = ()
        taken = set(chosen)
        rows, waiting = [row for row in rows if row not in taken], waiting[places:]


def varied(best: Sequence[int], kinds: Ints, diversity: float, pool: int) -> list[int]:
    """The first rows in an order that puts unlike ones beside each other; the rest as they were.

    `kinds` (rows,) are category codes; what counts is the place in `best`, not the score: scores
    of a ranker have no scale.
    """
    first = np.asarray(best[:pool], np.int32)
    worth = np.linspace(1, 0, len(first), dtype=np.float32)
    # (1 - diversity) x worth - diversity x likeness, in the form that `mmr` has it.
    weight = diversity / max(1 - diversity, 1e-3)
    chosen = mmr(worth, np.asarray(kinds)[first], weight, len(first))
    return [*first[chosen].tolist(), *best[pool:]]
