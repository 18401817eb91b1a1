"""Lists made in advance go to every store that answers; one that is down is named.

Killed at any write, a night leaves each reader the old edition or the new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from batch import precompute as module
from batch.history import History
from batch.precompute import precompute
from feature_store.settings import Settings
from feature_store.stores.base import Listed, StoreUnavailable, TrendingList
from feature_store.stores.memory import MemoryStore
from feature_store.trending import POPULAR
from models import bundle
from models.bundle import Bundle
from tests.unit.batch.builders import DECLARATION
from tests.unit.batch.market import fit, market, teacher


class Away(MemoryStore):
    """A store that goes while it is written to."""

    name = "away"

    def publish_trending(self, trending: TrendingList) -> None:
        raise StoreUnavailable("it went")


class Killed(MemoryStore):
    """The store of people's lists, written to by a night that dies after `left` of its writes."""

    name = "cassandra"
    left = 1_000

    def write_recommendations(self, lists: Iterable[Listed]) -> None:
        self._one_less()
        super().write_recommendations(lists)

    def publish_recommendations(self, made_at: int) -> None:
        self._one_less()
        super().publish_recommendations(made_at)

    def _one_less(self) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1


class Kept:
    """A way to a store; none: nobody answers."""

    def __init__(self, name: str, store: MemoryStore | None) -> None:
        self.name, self.store = name, store

    def connect(self, settings: Settings) -> MemoryStore:
        if self.store is None:
            raise StoreUnavailable("nobody answers")
        return self.store


def learned(past: History, path: Path) -> Bundle:
    sources, catalogue = fit(past, past.end), past.items.catalogue
    return Bundle.load(
        bundle.write(path, DECLARATION, sources, catalogue, None, {}, {}), DECLARATION
    )


def test_a_store_that_is_down_is_named_and_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, up = market(days=10), MemoryStore()
    stores = (Kept("down", None), Kept("away", Away()), Kept("memory", up))
    monkeypatch.setattr(module, "STORES", stores)
    loaded = learned(past, tmp_path)

    said, missed = precompute(Settings(), teacher(past), loaded, 7)

    assert missed == ["down", "away"]
    assert said == [
        "lists NOT written, nobody answers",
        "lists NOT written, it went",
        "popular lists to memory",
    ]
    listed = up.read_trending(POPULAR)
    assert listed is not None
    assert listed.published_at == 7


def test_killed_at_any_write_every_reader_sees_the_old_edition_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, store = market(days=10), Killed()
    monkeypatch.setattr(module, "STORES", (Kept("cassandra", store),))
    monkeypatch.setattr(module, "CHUNK", 4)
    loaded, night = learned(past, tmp_path), teacher(past)
    people = past.log.actor_ids
    precompute(Settings(), night, loaded, 1)
    writes, edition = 1_000 - store.left, 2
    assert writes > 2

    for store.left in range(writes):
        with pytest.raises(KeyboardInterrupt):
            precompute(Settings(), night, loaded, edition)
        assert editions(store, people) == {1}
    store.left = writes
    precompute(Settings(), night, loaded, edition)

    assert editions(store, people) == {edition}


def editions(store: MemoryStore, people: Sequence[str]) -> set[int]:
    """Of the lists that readers get."""
    return {found.made_at for one in people if (found := store.read_recommendations(one))}
