"""Step one of a request: what is known about the user this second, and what could not be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
    """Reads users: one round trip to Redis, and Cassandra where that fails or does not know all."""

    def __init__(self, stores: Ladder, remembered: Callable[[str], int | None]) -> None:
        """`remembered`: the newest event (ms) that the last nightly knew of an actor."""
        self._stores = stores
        self._remembered = remembered

    def read(self, actor: str, shape: str = "") -> Features:
        """Never fails: with no store at all, a user about whom nothing is known.

        `shape` names the kind of request whose kept result is wanted too.
        """
        answers, failed = self._stores.ask(lambda store: store.read_user(actor, shape), self._whole)
        known = [name for name, user in answers.items() if _known(user)]
        return Features(_merged(actor, answers.values()), "+".join(known), failed)

    def of(self, actor: str | None, given: Sequence[Recent] | None, shape: str = "") -> Features:
        """What stores know of the actor, if one is named, and what the app says happened."""
        known = self.read(actor, shape) if actor else Features(UserState(""), "", ())
        if given is None:
            return known
        user = replace(known.user, recents=together(known.user.recents, given))
        return replace(known, user=user, store="+".join(filter(None, (known.store, REQUEST))))

    def accept(self, actor: str, recent: Recent) -> bool:
        """Lets the next answer of every process know; False when no store took it."""
        took = self._stores.read(lambda store: store.write_accepted(actor, recent))
        return bool(took.store)

    def _whole(self, user: UserState) -> bool:
        """Whether a store has lost nothing of a user that last night's history tells of.

        After a loss, a store knows what came since, which hides that it forgot what was before.
        """
        if not _known(user):
            return False
        newest = self._remembered(user.actor)
        if newest is None or len(user.recents) >= RECENTS_KEPT:
            return True
        return bool(user.recents) and user.recents[-1].event_time <= newest


def together(*lists: Sequence[Recent]) -> tuple[Recent, ...]:
    """Interactions of several lists, each event once, newest first, as many as stores keep."""
    by_id = {recent.event_id: recent for recents in reversed(lists) for recent in recents}
    return tuple(sorted(by_id.values(), reverse=True)[:RECENTS_KEPT])


def _known(user: UserState) -> bool:
    return bool(user.recents) or user.profile is not None


def _merged(actor: str, states: Iterable[UserState]) -> UserState:
    """One user from what several stores know: the first to know something is right about it."""
    first, *others = [*states] or [UserState(actor)]
    for other in others:
        first = replace(
            first,
            tiles=first.tiles.over(other.tiles),
            recents=together(first.recents, other.recents),
            profile=first.profile if first.profile is not None else other.profile,
            accepted=first.accepted + other.accepted,
        )
    if first.accepted:
        first = replace(first, recents=together(first.recents, first.accepted))
    return first
