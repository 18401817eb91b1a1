"""No dependency that is down makes a read fail; the answer says what it lacked."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from feature_store.settings import Settings
from feature_store.stores.base import Listed, StoreUnavailable, TrendingList, UserState
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.memory import MemoryStore
from feature_store.trending import POPULAR
from models.ranker import Ranker
from serving.breaker import UNREADABLE_IN_A_ROW
from serving.guard import CALLERS, BulkheadFull, Guard
from tests.unit.serving.world import (
    NOW,
    Broken,
    Make,
    World,
    ids,
    recent,
    record,
    stocked,
    trending,
)


def test_without_redis_cassandra_answers(make: Make) -> None:
    world = make(hot=Broken())
    world.kept.write_recents([("ann", recent("tea", "click"))])
    answer = world.list_for("ann")
    assert answer["features_from"] == "cassandra"
    assert answer["last_event_id"] == "click-tea"
    assert answer["degraded"] == ["redis"]


def test_a_user_that_redis_has_forgotten_is_read_from_cassandra(world: World) -> None:
    world.kept.write_recents([("ann", recent("tea", "click"))])
    answer = world.list_for("ann")
    assert answer["features_from"] == "cassandra"
    assert answer["degraded"] == []


def test_with_both_stores_out_at_the_start_the_bundle_alone_answers(make: Make) -> None:
    answer = make(hot=Broken(), kept=Broken()).list_for("ann", limit=5)
    assert len(ids(answer)) == 5
    assert set(answer["degraded"]) == {"redis", "cassandra", "trending", "item_features"}
    assert answer["features_from"] is None


def sold(store: MemoryStore, *items: str) -> None:
    """What the night publishes as popular."""
    listed = [(item, 1.0) for item in items]
    store.publish_trending(TrendingList(POPULAR, NOW, {"": listed}))


def made_for(store: MemoryStore, actor: str, *items: str) -> None:
    """A list that the night made for somebody."""
    store.write_recommendations([Listed(actor, NOW, "b", tuple((item, 1.0) for item in items))])
    store.publish_recommendations(NOW)


def test_without_a_bundle_the_list_made_in_advance_answers_then_what_sells(
    make: Make, tmp_path: Path
) -> None:
    hot, kept = MemoryStore(), stocked()
    made_for(kept, "ann", "cheese", "cake")
    sold(hot, "milk", "cake", "bread")
    world = make(root=tmp_path, hot=hot, kept=kept)
    answer = world.list_for("ann", limit=4)
    assert ids(answer) == ["cheese", "cake", "milk", "bread"]
    assert [item["sources"] for item in answer["items"]] == [["advance"]] * 2 + [["popular"]] * 2
    assert "bundle" in answer["degraded"]
    assert ids(world.list_for("bob", limit=3)) == ["milk", "cake", "bread"]


def test_with_one_store_out_the_other_has_what_sells(make: Make, tmp_path: Path) -> None:
    kept = stocked()
    sold(kept, "milk", "bread")
    assert ids(make(root=tmp_path, hot=Broken(), kept=kept).list_for("ann", limit=2)) == [
        "milk", "bread",
    ]  # fmt: skip


def test_the_rules_hold_for_lists_made_in_advance_too(make: Make, tmp_path: Path) -> None:
    kept = stocked()
    made_for(kept, "ann", "cheese", "cake", "tea")
    world = make(root=tmp_path, kept=kept)
    assert ids(world.list_for("ann", category="bakery", limit=1)) == ["cake"]


def test_trending_outlives_the_stores_in_memory(world: World) -> None:
    world.hot_guard.store = world.kept_guard.store = Broken()
    world.settle()
    answer = world.http.get("/api/trending", params={"window": "24h"}).json()
    assert ids(answer) == ["beer", "tea"]
    assert answer["degraded"] == ["trending"]
    assert "trending" in world.list_for("nobody")["sources"]


def test_a_store_that_hangs_costs_its_deadline_once_and_is_then_left_alone(make: Make) -> None:
    hung = Broken(hangs_s=5)
    world = make(hot=Broken(), kept=Broken())
    world.kept_guard.store = hung
    world.kept_guard.breaker.succeeded()
    started = time.monotonic()
    first = world.list_for("ann")
    assert time.monotonic() - started < 2
    for _ in range(5):
        world.list_for("ann")
    assert "cassandra" in first["degraded"]
    assert hung.calls == 1


def test_a_store_that_heals_is_used_again(make: Make) -> None:
    world = make(hot=Broken())
    assert world.list_for("ann")["degraded"] == ["redis"]
    world.hot_guard.store = stocked()
    world.hot_guard.breaker.succeeded()
    assert world.list_for("ann")["degraded"] == []


class Garbage(MemoryStore):
    """A store whose rows of some users, or of all, cannot be read."""

    def __init__(self, *damaged: str) -> None:
        super().__init__()
        self.damaged = damaged
        self.calls = 0

    def read_user(self, actor: str, shape: str = "") -> UserState:
        self.calls += 1
        if not self.damaged or actor in self.damaged:
            raise ValueError("not JSON")
        return super().read_user(actor, shape)


def test_garbage_from_a_store_counts_as_no_answer(make: Make) -> None:
    assert make(hot=Garbage()).list_for("ann")["degraded"] == ["redis"]


def test_one_row_that_cannot_be_read_costs_the_other_users_nothing(make: Make) -> None:
    world = make(hot=Garbage("ann"))
    world.did("bob", recent("tea", "click"))
    for _ in range(10):
        assert world.list_for("ann")["degraded"] == ["redis"]
        assert world.list_for("bob")["features_from"] == "redis"


def test_a_store_that_says_nothing_readable_is_left_alone(make: Make) -> None:
    damaged = Garbage()
    world = make(hot=damaged)
    for _ in range(10):
        world.list_for("ann")
    assert damaged.calls == UNREADABLE_IN_A_ROW


def test_callers_beyond_the_bulkhead_are_sent_on_at_once(make: Make) -> None:
    world = make(hot=Broken())
    answer = threading.Event()

    def slow(_: object) -> None:
        answer.wait(5)

    guard = Guard("cassandra", world.telemetry, world.kept, deadline_s=5)
    waiting = [threading.Thread(target=guard.call, args=(slow,)) for _ in range(CALLERS)]
    for thread in waiting:
        thread.start()
    while guard._places._value:  # the last of them may still be on their way in
        time.sleep(0.001)
    with pytest.raises(BulkheadFull):
        guard.call(slow)
    assert not guard.breaker.open
    answer.set()
    for thread in waiting:
        thread.join()
    assert guard.call(lambda store: store.name) == "memory"
    guard.close()


def test_a_host_that_no_name_server_knows_is_a_store_that_is_out() -> None:
    settings = Settings(cassandra="no.such.host.invalid:9042")
    with pytest.raises(StoreUnavailable):
        CassandraStore.connect(settings, timeout_s=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_ranker_that_says_nothing_finite_gives_way_to_the_blend(
    world: World, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(
        Ranker, "predict", lambda _, rows: np.full(len(rows), value, dtype=np.float32)
    )
    answer = world.list_for("ann")
    assert ids(answer)[0] == "milk"
    assert answer["degraded"] == ["ranker"]


def test_one_score_that_is_not_finite_costs_that_item_its_place_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(_: Ranker, rows: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> object:
        scores = np.arange(len(rows), 0, -1, dtype=np.float32)
        scores[0] = np.nan
        return scores

    monkeypatch.setattr(Ranker, "predict", predict)
    answer = world.list_for("ann")
    assert answer["degraded"] == []
    assert len(ids(answer)) == 10


def test_a_ranker_that_fails_gives_way_to_the_blend(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Ranker, "predict", fail)
    assert world.list_for("ann")["degraded"] == ["ranker"]


def test_without_any_bundle_the_process_lives_says_why_and_offers_what_trends(
    make: Make, tmp_path: Path
) -> None:
    world = make(root=tmp_path)
    assert world.http.get("/health/live").status_code == 200
    ready = world.http.get("/health/ready")
    assert ready.status_code == 503
    assert "millrace nightly" in ready.json()["detail"]
    answer = world.list_for("ann")
    assert ids(answer) == ["beer", "tea"]
    assert "bundle" in answer["degraded"]
    assert answer["bundle"] is None


def test_with_nothing_at_all_the_answer_is_empty_and_valid(make: Make, tmp_path: Path) -> None:
    world = make(root=tmp_path, hot=Broken(), kept=Broken())
    assert world.list_for("ann")["items"] == []
    assert world.http.get("/api/users/ann").status_code == 200
    assert world.http.get("/api/items/milk").json()["degraded"] == ["redis", "cassandra"]
    assert world.http.get("/api/trending").json()["items"] == []


def test_impressions_that_kafka_cannot_take_never_hurt_an_answer(world: World) -> None:
    world.kafka.out = True
    with world.http:
        assert ids(world.list_for("ann"))


def test_a_published_list_never_gives_way_to_an_older_one(world: World) -> None:
    world.kept.write_records([record("kiwi")])
    world.kept_guard.store = world.hot_guard.store = world.kept
    newest = trending("tea", at=trending().published_at + 10)
    world.parts.trending._adopt(newest)
    world.settle()
    assert [item for item, _ in world.parts.trending.top("24h")] == ["tea"]
