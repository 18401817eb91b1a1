"""Step one of a request: what is known about the user this second, and what could not be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from feature_store.stores.base import RECENTS_KEPT, Recent, UserState
from serving.guard import Ladder

#: Where features come from that the app sent along.
REQUEST: Final = "request"


@dataclass(frozen=True, slots=True)
class Features:
    """A user's state, the store it came from ("" for none), and the stores that failed."""

    user: UserState
    store: str
    failed: tuple[str, ...]


class FeatureReader:
    """Reads users: one round trip to Redis, and Cassandra when that fails or does not know."""

    def __init__(self, stores: Ladder) -> None:
        self._stores = stores

    def read(self, actor: str) -> Features:
        """Never fails: with no store at all, a user about whom nothing is known."""
        reading = self._stores.read(lambda store: store.read_user(actor), known=_known)
        return Features(reading.value or UserState(actor), reading.store, reading.failed)

    def of(self, actor: str | None, given: Sequence[Recent] | None) -> Features:
        """What stores know of the actor, if one is named, and what the app says happened."""
        known = self.read(actor) if actor else Features(UserState(""), "", ())
        if given is None:
            return known
        user = replace(known.user, recents=together(known.user.recents, given))
        return replace(known, user=user, store="+".join(filter(None, (known.store, REQUEST))))


def together(*lists: Sequence[Recent]) -> tuple[Recent, ...]:
    """Interactions of several lists, each event once, newest first, as many as stores keep."""
    by_id = {recent.event_id: recent for recents in reversed(lists) for recent in recents}
    return tuple(sorted(by_id.values(), reverse=True)[:RECENTS_KEPT])


def _known(user: UserState) -> bool:
    return bool(user.recents) or user.profile is not None
