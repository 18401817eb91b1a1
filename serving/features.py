"""Step one of a request: what is known about the user this second, and what could not be asked."""

from __future__ import annotations

from dataclasses import dataclass

from feature_store.stores.base import UserState
from serving.guard import Ladder


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


def _known(user: UserState) -> bool:
    return bool(user.recents) or user.profile is not None
