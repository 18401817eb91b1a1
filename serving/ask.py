"""What a request for recommendations asks for, and how its next page is found."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from feature_store.stores.base import Recent
from serving.catalogue import Filter

#: No filter.
ANYTHING: Final = Filter()
#: A cursor holds one mark of this many characters for every item shown so far.
MARK_WIDTH: Final = 8
#: After so many items a list ends.
DEEPEST: Final = 300
CURSOR: Final = rf"^([A-Za-z0-9_-]{{{MARK_WIDTH}}}){{1,{DEEPEST}}}$"


class Mode(StrEnum):
    """What the list is for."""

    MIXED = "mixed"
    DISCOVER = "discover"
    REPLENISH = "replenish"


class Context(StrEnum):
    """The page that the list is for."""

    HOME = "home"
    ITEM = "item"
    CART = "cart"


@dataclass(frozen=True, slots=True)
class Ask:
    """What was asked for.

    `about` are items that the page is about: what goes with them comes first. `given` is what an
    app that keeps state itself says happened, newest first; with it and without an actor, no
    store is read. `shown` are the marks of a cursor.
    """

    actor: str
    limit: int = 10
    mode: Mode = Mode.MIXED
    filter: Filter = ANYTHING
    context: Context = Context.HOME
    about: tuple[str, ...] = ()
    exclude: frozenset[str] = frozenset()
    page: int = 1
    shown: frozenset[str] = frozenset()
    diversity: float = 0.0
    explain: bool = False
    given: tuple[Recent, ...] | None = None

    @property
    def plain(self) -> bool:
        """Whether stores and bundle alone decide: no page, no filter, nothing sent along."""
        page = self.about or self.context is not Context.HOME
        return not page and self.filter == ANYTHING and self.given is None


@lru_cache(maxsize=1 << 16)
def mark(item_id: str) -> str:
    """48 bits of an item's hash as text: how a cursor remembers that the item was shown."""
    digest = hashlib.blake2b(item_id.encode(errors="replace"), digest_size=6).digest()
    return base64.urlsafe_b64encode(digest).decode()


def marks(cursor: str | None) -> frozenset[str]:
    """The marks of a cursor that matches `CURSOR`."""
    said = cursor or ""
    return frozenset(said[start : start + MARK_WIDTH] for start in range(0, len(said), MARK_WIDTH))


def next_cursor(ask: Ask, item_ids: Sequence[str], skipped: Iterable[str]) -> str | None:
    """Names what was shown or skipped so far; None where the list ends."""
    seen = sorted({*ask.shown, *map(mark, skipped), *map(mark, item_ids)})
    if len(item_ids) < ask.limit or len(seen) + ask.limit > DEEPEST:
        return None
    return "".join(seen)
