"""From a ranked order to the places of one page: caps, newcomers, earlier pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from serving.ask import Ask
from serving.catalogue import Card
from serving.rules import Caps, diversify

#: One place in this many may go to a trending item that no bundle knows yet.
NEWCOMER_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of the candidates, then items that no bundle knows; and what earlier pages had."""

    rows: Sequence[int] = ()
    new: Sequence[Card] = ()
    skipped: tuple[str, ...] = ()


def select(
    ask: Ask, caps: Caps, order: Sequence[int], cards: Sequence[Card], new: Sequence[Card]
) -> Page:
    """The page asked for, counted from where the cursor stands."""
    kept = islice(_pages(ask, caps, order, cards, new), ask.page)
    *earlier, page = [*kept] or [Page()]
    if len(earlier) < ask.page - 1:
        earlier, page = [*earlier, page], Page()
    skipped = [cards[row].item_id for seen in earlier for row in seen.rows]
    skipped += [known.item_id for seen in earlier for known in seen.new]
    return Page(page.rows, page.new, tuple(skipped))


def _pages(
    ask: Ask, caps: Caps, order: Sequence[int], cards: Sequence[Card], new: Sequence[Card]
) -> Iterator[Page]:
    rows, waiting = list(order), list(new)
    while rows or waiting:
        places = min(len(waiting), max(ask.limit // NEWCOMER_SHARE, ask.limit - len(rows)))
        chosen = diversify(
            rows,
            lambda row: caps.kinds(cards[row], ask.filter),
            ask.limit - places,
            lambda kind: caps.of(kind, ask.limit),
        )
        yield Page(chosen, waiting[:places])
        taken = set(chosen)
        rows, waiting = [row for row in rows if row not in taken], waiting[places:]
