"""Lists made in advance go to every store that answers; one that is down is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch import precompute as module
from batch.precompute import precompute
from feature_store.settings import Settings
from feature_store.stores.base import StoreUnavailable, TrendingList
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


class Kept:
    """A way to a store; none: nobody answers."""

    def __init__(self, name: str, store: MemoryStore | None) -> None:
        self.name, self.store = name, store

    def connect(self, settings: Settings) -> MemoryStore:
        if self.store is None:
            raise StoreUnavailable("nobody answers")
        return self.store


def test_a_store_that_is_down_is_named_and_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, up = market(days=10), MemoryStore()
    stores = (Kept("down", None), Kept("away", Away()), Kept("memory", up))
    monkeypatch.setattr(module, "STORES", stores)
    path = bundle.write(
        tmp_path, DECLARATION, fit(past, past.end), past.items.catalogue, None, {}, {}
    )
    loaded = Bundle.load(path, DECLARATION)

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
