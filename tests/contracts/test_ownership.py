"""Who owns a tile: the stream within H, the batch layer outside; both together end at the log.

Hypothesis tells stories of a shop (`shops.py`); `make trials` tells many more.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from batch import reconcile
from batch.recount import Recount
from feature_store import tiles
from feature_store.stores.base import Store
from feature_store.stores.memory import MemoryStore
from feature_store.tiles import Tile
from tests.builders import DAY
from tests.contracts.shops import Shop
from tests.contracts.test_newest_wins import Careless

pytestmark = pytest.mark.generative


def tell_stories(store: Store, root: Path, **more: Any) -> None:
    """Runs the machine: long stories, and fewer of them in a store that costs round trips."""
    usual, share = hypothesis_settings.default, 2 if store.name == "memory" else 5
    chosen = hypothesis_settings(
        max_examples=usual.max_examples // share,
        stateful_step_count=2 * usual.stateful_step_count,
        **more,
    )
    run_state_machine_as_test(partial(Shop, store, root), settings=chosen)  # type: ignore[no-untyped-call]


def test_the_stream_and_the_night_end_at_the_log(store: Store, tmp_path: Path) -> None:
    tell_stories(store, tmp_path)


def to_the_millisecond(now: int, horizon_ms: int) -> int:
    """A `since` that is no day boundary: of its day, a job knows a part."""
    return now - horizon_ms


def as_counted(found: Any, _: int) -> Tile:
    """A repair that does not beat what is stored."""
    tile: Tile = found.tile
    return tile


@pytest.mark.parametrize(
    ("where", "name", "bug"),
    [
        (Recount, "owned_until", property(lambda latest: latest.cut_ms + DAY)),
        (reconcile, "replaced", as_counted),
        (tiles, "replay_since", to_the_millisecond),
    ],
    ids=["a repair of what the stream owns", "a repair that loses", "half a day is replayed"],
)
def test_a_planted_bug_is_found(
    where: object, name: str, bug: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, bug)
    with pytest.raises(AssertionError):
        tell_stories(MemoryStore(), tmp_path, phases=[Phase.generate], report_multiple_bugs=False)


def test_a_store_that_believes_the_last_writer_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        tell_stories(Careless(), tmp_path, phases=[Phase.generate], report_multiple_bugs=False)
