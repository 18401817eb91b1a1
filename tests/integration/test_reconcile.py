"""Planted differences in real stores are found, told apart, and put right where the batch owns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from batch.files import read_json, write_json
from batch.lake import Lake
from batch.manifest import Batch
from batch.reconcile import Drift, Reconciled, compare_store, reconcile, repair
from batch.recount import Recount
from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import BASE, DAY, Level, Tile, Version
from feature_store.topics import INTERACTIONS
from tests.recount import keep

NOW = time.time_ns() // 1_000_000
TODAY = DAY.start(NOW)
OLD, YOUNG, BASE_DAY = TODAY - 9 * DAY.ms, TODAY, TODAY - 2 * DAY.ms


def tile(
    who: str, views: int, start: int = OLD, level: Level = DAY, epoch: int = 0, generation: int = 0
) -> Tile:
    """A user's tile into which so many views were applied."""
    version = Version.of_tile(start, epoch, views, generation)
    return Tile("user", who, level, version, f'{{"views":{views}}}')


#: What the log says.
COUNTED = [
    *(tile(who, 3) for who in ("right", "missing", "less", "more", "body", "newer")),
    tile("young", 3, YOUNG),
    tile("base", 9, BASE_DAY, BASE),
]
#: What the stores hold instead.
STORED = [
    tile("right", 3, generation=1),
    tile("less", 2),
    tile("more", 5, generation=2),
    replace(tile("body", 3), body='{"views":7}'),
    replace(tile("newer", 3, epoch=4), body="{}"),
    tile("extra", 1),
    tile("young", 2, YOUNG),
    tile("base", 8, BASE_DAY - DAY.ms, BASE),
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With an H of two days, whatever a stack of the session has."""
    return settings.model_copy(update={"horizon_hours": 48})


@pytest.fixture
def lake(settings: Settings) -> Lake:
    """A finished recount of `COUNTED`."""
    lake = Lake(settings.lake)
    done = Recount("a", len(COUNTED), 1, {"0": 9}, NOW, settings.horizon_ms, "declared")
    keep(lake, done, COUNTED)
    write_json(lake.root / "tiles" / "manifest.json", asdict(done))
    return lake


@pytest.fixture(params=[RedisStore, CassandraStore])
def store(request: pytest.FixtureRequest, settings: Settings, lake: Lake) -> Iterator[Store]:
    store: Store = request.param.connect(settings)
    store.write_tiles(STORED)
    yield store
    store.close()


def latest(lake: Lake) -> Recount:
    found = Recount.latest(lake)
    assert found
    return found


def held(store: Store) -> dict[str, tuple[int, str]]:
    return {t.entity_id: (t.version.applied, t.body) for t in store.scan_tiles()}


def test_what_the_batch_layer_owns_is_put_right_and_the_rest_is_reported(
    store: Store, settings: Settings, lake: Lake
) -> None:
    done = repair(settings, lake, latest(lake), store)

    assert done == Reconciled(
        store.name, owned=6, missing=1, different=4, extra=1, repaired=7, bases=1, young=1,
        drift={"user.views.d": Drift(tiles=6, by=3 + 1 + 2 + 4 + 3 + 1)},
    )  # fmt: skip
    right = {t.entity_id: (t.version.applied, t.body) for t in COUNTED}
    assert held(store) == {**right, "extra": (0, "{}"), "young": (2, '{"views":2}')}


def test_what_only_a_store_knows_since_kafka_deleted_it_stays(
    store: Store, settings: Settings, lake: Lake
) -> None:
    topic = settings.topic(INTERACTIONS.name)
    lake.add(topic, Batch("later", "id", {"0": 3}, {"0": 9}, 6, 0), [])
    done = repair(settings, lake, latest(lake), store)
    assert (done.spared, done.missing, done.different, done.extra) == (2, 1, 3, 0)
    right = {t.entity_id: (t.version.applied, t.body) for t in COUNTED}
    spared = {"more": (5, '{"views":5}'), "extra": (1, '{"views":1}')}
    assert held(store) == {**right, **spared, "young": (2, '{"views":2}')}


def test_a_second_run_finds_nothing_to_do(store: Store, settings: Settings, lake: Lake) -> None:
    repair(settings, lake, latest(lake), store)
    before = {*store.scan_tiles()}
    assert repair(settings, lake, latest(lake), store).repaired == 0
    assert {*store.scan_tiles()} == before
    found = compare_store(settings, store)
    assert (found.missing, found.different, found.extra) == (0, 1, 0), found.examples


def test_the_stream_cannot_undo_a_repair_but_goes_on_in_its_own_tiles(
    store: Store, settings: Settings, lake: Lake
) -> None:
    repair(settings, lake, latest(lake), store)
    after = held(store)
    store.write_tiles([*STORED, tile("young", 4, YOUNG)])
    assert held(store) == {**after, "young": (4, '{"views":4}')}


def test_killed_in_the_middle_the_next_run_finishes(
    store: Store, settings: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, written = store.write_tiles, []

    def killed(tiles: Iterator[Tile]) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        batch = [*tiles]
        written.append(batch)
        whole(batch)

    monkeypatch.setattr("batch.reconcile.BATCH", 2)
    monkeypatch.setattr(store, "write_tiles", killed)
    with pytest.raises(KeyboardInterrupt):
        repair(settings, lake, latest(lake), store)
    monkeypatch.undo()
    assert repair(settings, lake, latest(lake), store).repaired == 3
    assert repair(settings, lake, latest(lake), store).repaired == 0


def test_both_stores_are_repaired_and_the_figures_are_published(
    settings: Settings, lake: Lake
) -> None:
    done = reconcile(settings, lake, "declared")
    assert [(one.store, one.missing) for one in done] == [("redis", 6), ("cassandra", 6)]
    said = read_json(lake.root / "reconcile.json")
    assert said["stores"]["redis"]["drift"] == {"user.views.d": {"tiles": 6, "by": 18}}
    assert (said["cut_ms"], said["late"]) == (NOW, 1)


def test_a_store_that_is_down_is_named_and_the_other_is_repaired(
    settings: Settings, lake: Lake
) -> None:
    halved = settings.model_copy(update={"redis": "redis://127.0.0.1:1/0"})
    hot, kept = reconcile(halved, lake, "declared")
    assert hot.unavailable.startswith("redis: ")
    assert (kept.repaired, kept.unavailable) == (7, "")


def test_a_recount_of_another_declaration_repairs_nothing(settings: Settings, lake: Lake) -> None:
    with pytest.raises(LookupError, match="another declaration"):
        reconcile(settings, lake, "changed")


def test_no_recount_says_what_to_do(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="millrace nightly"):
        reconcile(settings, Lake(tmp_path / "empty"), "declared")
