"""The trending lists in memory: read every second, and the last known when nothing answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from feature_store.stores.base import StoreUnavailable, TrendingList, UserState
from feature_store.trending import EVERYWHERE, TRENDING, in_country
from serving.guard import Ladder

#: The window whose lists say what moves in somebody's country now.
LOCAL: Final = "1h"


class Trending:
    """A snapshot of every window's published lists."""

    def __init__(self, stores: Ladder, want: Callable[[Iterable[str]], None]) -> None:
        """`want` is told of every item that comes into a window, so that its card gets read."""
        self._stores = stores
        self._want = want
        self._lists: dict[str, TrendingList] = {}
        self.fresh = False

    def turn(self) -> None:
        """Reads every window; keeps the old lists where no store answers."""
        for window in TRENDING:
            reading = self._stores.read(
                lambda store, name=window.name: store.read_trending(name),  # type: ignore[misc]
                known=lambda found: found is not None,
            )
            if not reading.store:
                self.fresh = False
                raise StoreUnavailable("no store answers for trending")
            if reading.value:
                self._adopt(reading.value)
        self.fresh = True

    def _adopt(self, published: TrendingList) -> None:
        known = self._lists.get(published.window)
        if known is None or known.published_at < published.published_at:
            self._lists[published.window] = published
            self._want(_items(published) - (_items(known) if known else set()))

    def published(self, window: str) -> TrendingList | None:
        """The newest list known of a window."""
        return self._lists.get(window)

    def local(self, user: UserState) -> frozenset[str]:
        """What moves in the country of a person's profile; nothing where it is not known."""
        country = (user.profile or {}).get("country")
        listed = self.top(LOCAL, country=country) if isinstance(country, str) and country else ()
        return frozenset(item_id for item_id, _ in listed)

    def top(
        self, window: str, category: str | None = None, country: str | None = None
    ) -> Sequence[tuple[str, float]]:
        """(item id, score), best first; of one category, of one country, or of everything."""
        published = self._lists.get(window)
        segment = in_country(country) if country else category or EVERYWHERE
        return published.segments.get(segment, ()) if published else ()


def _items(published: TrendingList) -> set[str]:
    return {item for listed in published.segments.values() for item, _ in listed}
