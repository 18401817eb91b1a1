"""What every store promises: absolute writes, the newest version wins, reads in one shape."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
from redis import ResponseError

from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores.base import (
    RECENTS_KEPT,
    RESULTS_KEPT,
    Document,
    Listed,
    Recent,
    Record,
    Store,
    StoreUnavailable,
    TrendingList,
    TrendingTile,
)
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import BASE, DAY, DAYS_7, HOUR, LIFETIME, MINUTE, Tile, Version
from tests.builders import MINUTE as A_MINUTE
from tests.builders import NOON

MIDNIGHT = DAY.start(NOON)


def day_tile(
    user: str,
    applied: int,
    purchases: int,
    epoch: int = 0,
    start: int = MIDNIGHT,
    generation: int = 0,
) -> Tile:
    body = f'{{"purchases":{purchases}}}'
    version = Version.of_tile(start, epoch, applied, generation)
    return Tile(Entity.USER, user, DAY, version, body)


def purchases_of(store: Store, user: str) -> int:
    return sum(store.read_user(user).tiles.within("purchases", DAYS_7, NOON))


def recent(event_id: str, at: int, item: str = "milk") -> Recent:
    return Recent(at, event_id, "view", item, 1, 199, "")


def test_what_was_accepted_stands_beside_the_recents_until_the_stream_has_it(
    store: Store,
) -> None:
    now = time.time_ns() // 1_000_000
    for liked in (
        recent("e1", now - HOUR.ms // 2, "tea"),
        recent("e2", now - 1),
        recent("e2", now - 1),
    ):
        store.write_accepted("ann", liked)
    user = store.read_user("ann")
    assert [event.event_id for event in user.accepted] == ["e2", "e1"]
    assert (user.recents, store.read_user("bob").accepted) == ((), ())


def test_of_two_documents_of_one_name_the_newer_stays(store: Store) -> None:
    old, new = (Document("rules", Version(moment, 0, 0), f"[{moment}]") for moment in (1, 2))
    assert store.read_document("rules") is None
    for document in (old, new, old):
        store.write_document(document)
    assert store.read_document("rules") == new
    assert store.read_document("others") is None


def test_an_unknown_user_is_empty(store: Store) -> None:
    user = store.read_user("nobody")
    assert (user.recents, user.profile, user.last_event) == ((), None, None)
    assert purchases_of(store, "nobody") == 0


def test_a_tile_is_read_as_it_was_written(store: Store) -> None:
    tile = day_tile("ann", applied=3, purchases=2)
    store.write_tiles([tile])
    assert purchases_of(store, "ann") == 2
    assert list(store.scan_tiles()) == [tile]


def test_writing_a_tile_again_changes_nothing(store: Store) -> None:
    for _ in range(3):
        store.write_tiles([day_tile("ann", applied=3, purchases=2)])
    assert purchases_of(store, "ann") == 2


def test_the_newest_version_of_a_tile_wins_in_any_order(store: Store) -> None:
    versions = [(0, 1, 1), (0, 2, 2), (1, 1, 7), (1, 2, 8)]
    for number, order in enumerate(itertools.permutations(versions)):
        user = f"user-{number}"
        for epoch, applied, purchases in order:
            store.write_tiles([day_tile(user, applied, purchases, epoch)])
        assert purchases_of(store, user) == 8, order


def test_a_new_generation_wins_only_with_as_many_events_and_then_for_good(store: Store) -> None:
    old, half, caught_up = (
        day_tile("ann", applied=9, purchases=1),
        day_tile("ann", applied=8, purchases=7, generation=1),
        day_tile("ann", applied=9, purchases=8, generation=1),
    )
    store.write_tiles([old])
    store.write_tiles([half])
    assert purchases_of(store, "ann") == 1
    store.write_tiles([caught_up])
    store.write_tiles([old])
    assert purchases_of(store, "ann") == 8


def test_one_batch_may_hold_several_versions_of_a_tile(store: Store) -> None:
    tiles = [day_tile("ann", applied=n, purchases=n) for n in range(1, 60)]
    random.Random(7).shuffle(tiles)
    store.write_tiles(tiles)
    assert purchases_of(store, "ann") == 59


def test_tiles_of_one_user_do_not_touch_each_other(store: Store) -> None:
    store.write_tiles(
        [
            day_tile("ann", applied=1, purchases=1),
            day_tile("ann", applied=5, purchases=5, start=MIDNIGHT - DAY.ms),
            Tile(Entity.USER, "ann", HOUR, Version(NOON, 0, 1), '{"purchases":1}'),
            Tile(Entity.ITEM, "ann", DAY, Version(MIDNIGHT, 0, 1), '{"purchases":100}'),
        ]
    )
    assert purchases_of(store, "ann") == 6


def test_a_base_is_read_with_the_tiles_after_it_and_the_newest_base_wins(store: Store) -> None:
    def base(days_ago: int, applied: int, purchases: int) -> Tile:
        version = Version.of_tile(MIDNIGHT - days_ago * DAY.ms, 0, applied)
        return Tile(Entity.USER, "ann", BASE, version, f'{{"purchases":{purchases}}}')

    def lifetime() -> int:
        return sum(store.read_user("ann").tiles.within("purchases", LIFETIME, NOON))

    days = [day_tile("ann", 1, 1, start=MIDNIGHT - n * DAY.ms) for n in range(4)]
    store.write_tiles([*days, base(2, applied=100, purchases=50)])
    assert lifetime() == 50 + 3
    store.write_tiles([base(1, applied=101, purchases=51), base(3, applied=99, purchases=49)])
    assert lifetime() == 51 + 2
    assert sum(tile.level is BASE for tile in store.scan_tiles()) == 1


def test_recents_come_newest_first_with_ties_by_event_id(store: Store) -> None:
    one, two, three = recent("a", NOON), recent("b", NOON), recent("c", NOON - 1)
    store.write_recents([("ann", three), ("ann", one), ("bob", one), ("ann", two)])
    assert store.read_user("ann").recents == (two, one, three)


def test_an_interaction_written_twice_is_one(store: Store) -> None:
    store.write_recents([("ann", recent("a", NOON))] * 2)
    store.write_recents([("ann", recent("a", NOON))])
    assert len(store.read_user("ann").recents) == 1


def test_only_the_newest_interactions_are_kept(store: Store) -> None:
    written = [recent(f"e{n:04d}", NOON + n) for n in range(RECENTS_KEPT + 25)]
    random.Random(7).shuffle(written)
    for start in range(0, len(written), 50):
        store.write_recents(("ann", one) for one in written[start : start + 50])
    kept = store.read_user("ann").recents
    assert [one.event_time for one in kept] == sorted(
        (one.event_time for one in written), reverse=True
    )[:RECENTS_KEPT]


def test_metadata_is_the_newest_message_and_a_tombstone_deletes(store: Store) -> None:
    def milk(at: int, offset: int, body: str) -> Record:
        return Record(Entity.ITEM, "milk", Version(at, 0, offset), body)

    store.write_records([milk(NOON, 5, '{"title":"Milk"}'), milk(NOON, 4, '{"title":"old"}')])
    assert store.read_items(["milk", "tea"]) == {"milk": {"title": "Milk"}}
    store.write_records([milk(NOON + 1, 9, "")])
    store.write_records([milk(NOON, 6, '{"title":"late"}')])
    assert store.read_items(["milk", "tea"]) == {"milk": {}}


def test_erasing_a_user_forgets_all_that_is_theirs(store: Store) -> None:
    store.write_tiles([day_tile("ann", 1, 1), day_tile("bob", 1, 1)])
    store.write_recents([("ann", recent("a", NOON))])
    store.write_accepted("ann", recent("b", time.time_ns() // 1_000_000))
    store.keep_result("ann", "ten", "[1]")
    kept = store.read_user("ann", "ten")
    assert (len(kept.accepted), kept.result) in ((1, "[1]"), (1, None))  # Cassandra keeps none
    store.write_records([Record(Entity.USER, "ann", Version(NOON, 0, 1), '{"segment":"s"}')])
    assert store.read_user("ann").profile == {"segment": "s"}
    store.write_records([Record(Entity.USER, "ann", Version(NOON + 1, 0, 2), "")])
    ann = store.read_user("ann", "ten")
    assert (ann.profile, ann.recents, purchases_of(store, "ann")) == (None, (), 0)
    assert (ann.accepted, ann.result) == ((), None)
    assert purchases_of(store, "bob") == 1


def test_an_erasure_replayed_does_not_take_what_came_after_it(store: Store) -> None:
    erasure = Record(Entity.USER, "ann", Version(NOON, 0, 1), "")
    store.write_records([erasure])
    store.write_tiles([day_tile("ann", applied=1, purchases=1)])
    store.write_recents([("ann", recent("a", NOON + 1))])
    store.write_records([erasure])
    assert purchases_of(store, "ann") == 1
    assert len(store.read_user("ann").recents) == 1


def test_everything_kept_can_be_read_back_to_fill_another_store(store: Store) -> None:
    title = Record(Entity.ITEM, "milk", Version(NOON, 0, 1), '{"title":"Milk"}')
    gone = Record(Entity.USER, "ann", Version(NOON, 0, 2), "")
    store.write_records([title, gone])
    written = [("bob", recent("a", NOON)), ("bob", recent("b", NOON)), ("eve", recent("c", NOON))]
    store.write_recents(written)
    store.write_tiles([day_tile("bob", applied=1, purchases=1)])
    assert sorted(store.scan_records(), key=lambda record: record.key) == [gone, title]
    assert sorted(store.scan_recents()) == written


def test_trending_tiles_are_absolute_and_found_by_their_start(store: Store) -> None:
    def weighs(weight: int, applied: int, minute: int) -> TrendingTile:
        version = Version(NOON + minute * A_MINUTE, 0, applied)
        return TrendingTile(MINUTE, version, "milk", weight)

    store.write_trending_tiles([weighs(9, 3, 0), weighs(5, 2, 0), weighs(4, 1, 1)])
    found = store.read_trending_tiles(MINUTE, [NOON, NOON + A_MINUTE, NOON + 2 * A_MINUTE])
    assert {(t.version.moment, t.weight) for t in found} == {(NOON, 9), (NOON + A_MINUTE, 4)}


def test_what_trends_in_a_country_is_kept_beside_what_trends_everywhere(store: Store) -> None:
    def weighs(weight: int, applied: int, country: str) -> TrendingTile:
        return TrendingTile(MINUTE, Version.of_tile(NOON, 0, applied), "milk", weight, country)

    store.write_trending_tiles([weighs(9, 3, ""), weighs(5, 2, "NO"), weighs(4, 1, "NO")])
    found = store.read_trending_tiles(MINUTE, [NOON])
    assert {(t.item_id, t.country, t.weight) for t in found} == {("milk", "", 9), ("milk", "NO", 5)}


def test_a_trending_list_is_replaced_whole_and_never_by_an_older_one(store: Store) -> None:
    new = TrendingList("1h", NOON, {"": [("milk", 2.5)], "dairy": [("milk", 2.5)]})
    store.publish_trending(new)
    store.publish_trending(TrendingList("1h", NOON - 1, {"": [("tea", 9.0)]}))
    assert store.read_trending("1h") == new
    assert store.read_trending("5m") is None


def listed(actor: str, made_at: int, *items: str) -> Listed:
    return Listed(actor, made_at, "b" * 16, tuple((item, 1.5) for item in items))


def test_a_list_made_in_advance_is_read_once_its_edition_is_published(store: Store) -> None:
    one = listed("ann", NOON, "milk", "tea")
    assert store.read_recommendations("ann") is None
    store.write_recommendations([one])
    assert store.read_recommendations("ann") is None
    store.publish_recommendations(NOON)
    assert store.read_recommendations("ann") == one
    assert store.read_recommendations("bob") is None


def test_readers_see_the_whole_old_edition_until_the_new_one_is_published(store: Store) -> None:
    old, new = [[listed(a, at, "milk") for a in ("ann", "bob")] for at in (NOON, NOON + 1)]
    store.write_recommendations(old)
    store.publish_recommendations(NOON)
    store.write_recommendations(new[:1])  # killed here
    assert [store.read_recommendations(a) for a in ("ann", "bob")] == old
    store.write_recommendations(new)
    store.publish_recommendations(NOON + 1)
    assert [store.read_recommendations(a) for a in ("ann", "bob")] == new


def test_an_older_edition_never_wins_and_who_is_not_in_the_new_one_has_no_list(
    store: Store,
) -> None:
    store.write_recommendations([listed("ann", NOON, "tea"), listed("bob", NOON + 1, "milk")])
    store.publish_recommendations(NOON + 1)
    store.publish_recommendations(NOON)
    assert store.read_recommendations("bob") == listed("bob", NOON + 1, "milk")
    assert store.read_recommendations("ann") is None


def test_erasing_a_user_forgets_the_list_made_in_advance(store: Store) -> None:
    store.write_recommendations([listed("ann", NOON, "tea"), listed("bob", NOON, "tea")])
    store.publish_recommendations(NOON)
    store.write_records([Record(Entity.USER, "ann", Version(NOON, 0, 2), "")])
    assert store.read_recommendations("ann") is None
    assert store.read_recommendations("bob") is not None


def test_item_tiles_are_read_for_the_items_that_have_any(store: Store) -> None:
    tile = Tile(Entity.ITEM, "milk", DAY, Version(MIDNIGHT, 0, 1), '{"views":4}')
    store.write_tiles([tile])
    found = store.read_item_tiles(["milk", "tea"])
    assert list(found) == ["milk"]
    assert sum(found["milk"].within("views", DAYS_7, NOON)) == 4


@pytest.mark.parametrize("name", ["a:b", "a b", "日本", "{x}", "'; DROP TABLE tiles; --", "*"])
def test_any_id_is_a_key(store: Store, name: str) -> None:
    store.write_tiles([day_tile(name, 1, 1)])
    store.write_recents([(name, recent(name, NOON, item=name))])
    assert purchases_of(store, name) == 1
    assert store.read_user(name).recents[0].item_id == name
    assert [tile.entity_id for tile in store.scan_tiles()] == [name]


@pytest.mark.parametrize("connect", [RedisStore.connect, CassandraStore.connect])
def test_a_store_that_is_down_says_so(connect: type) -> None:
    nowhere = Settings(redis="redis://127.0.0.1:1/0", cassandra="127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        connect(nowhere, timeout_s=0.5).read_user("ann")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "reply", ["MISCONF no snapshot", "BUSY a script", "MASTERDOWN no master", "NOREPLICAS too few"]
)
def test_a_redis_that_cannot_answer_for_now_says_so(reply: str) -> None:
    with answering(reply) as settings, pytest.raises(StoreUnavailable, match=reply):
        RedisStore.connect(settings).read_user("ann")
    with answering(reply) as settings, pytest.raises(StoreUnavailable, match=reply):
        RedisStore.connect(settings).read_trending("1h")


def test_what_redis_refuses_for_good_is_not_waited_for() -> None:
    with answering("WRONGTYPE BUSY") as settings, pytest.raises(ResponseError):
        RedisStore.connect(settings).read_user("BUSY caused error: BUSY")


@contextmanager
def answering(reply: str) -> Iterator[Settings]:
    """A Redis that answers every command with this error."""

    class Refusal(StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                if line.startswith(b"*"):  # the head of a command
                    self.wfile.write(f"-{reply}\r\n".encode())

    with ThreadingTCPServer(("127.0.0.1", 0), Refusal) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield Settings(redis=f"redis://127.0.0.1:{server.server_address[1]}/0")
        server.shutdown()


def test_a_kept_result_comes_with_the_user_for_its_kind_of_request(store: Store) -> None:
    store.keep_result("ann", "ten", "[1]")
    store.keep_result("ann", "ten", "[2]")
    user = store.read_user("ann", "ten")
    assert user.result in ("[2]", None)  # Cassandra keeps none
    assert store.read_user("ann", "five").result is None
    assert store.read_user("ann").result is None
    assert store.read_user("bob", "ten").result is None


def test_no_actor_keeps_results_of_very_many_kinds(store: Store) -> None:
    for number in range(3 * RESULTS_KEPT):
        store.keep_result("ann", f"kind-{number}", "[]")
    kept = [store.read_user("ann", f"kind-{n}").result for n in range(3 * RESULTS_KEPT)]
    assert sum(result is not None for result in kept) <= RESULTS_KEPT
