"""What is known about a user, when one store has lost a part of it."""

from __future__ import annotations

from feature_store.declaration import Entity
from feature_store.stores.base import Record
from feature_store.tiles import BASE, DAY, DAY_MS, DAYS_7, LIFETIME, Tile, TileSet, Version
from tests.unit.serving.world import NOW, Broken, Make, World, recent, stocked

TODAY = DAY.start(NOW)
YESTERDAYS = recent("milk", "purchase")._replace(event_time=NOW - DAY_MS - 1_000)


def purchases(user: str, start: int, count: int) -> Tile:
    version = Version.of_tile(start, 0, count)
    return Tile(Entity.USER, user, DAY, version, f'{{"purchases":{count}}}')


def test_what_redis_learnt_after_a_loss_does_not_hide_what_cassandra_kept(world: World) -> None:
    world.kept.write_recents([("ann", YESTERDAYS), ("ann", recent("tea", "dislike", 60))])
    world.kept.write_records([Record(Entity.USER, "ann", Version(1, 0, 0), '{"country":"NO"}')])
    world.kept.write_tiles([purchases("ann", TODAY - DAY_MS, 3)])
    world.did("ann", recent("bun", "click"))
    world.hot.write_tiles([purchases("ann", TODAY, 1)])
    answer = world.list_for("ann")
    assert answer["features_from"] == "redis+cassandra"
    assert answer["last_event_id"] == "click-bun"
    assert "tea" not in [item["id"] for item in answer["items"]]
    user = world.parts.features.read("ann").user
    assert sum(user.tiles.within("purchases", DAYS_7, NOW)) == 4
    assert user.profile == {"country": "NO"}


def test_a_user_of_whom_redis_has_all_that_the_bundle_knows_costs_one_read(make: Make) -> None:
    world = make(kept=Broken())
    world.did("ann", YESTERDAYS)
    answer = world.list_for("ann")
    assert (answer["features_from"], answer["degraded"]) == ("redis", [])


def test_a_newcomer_whom_no_bundle_knows_costs_one_read(make: Make) -> None:
    world = make(kept=Broken())
    world.did("new", recent("tea", "click"))
    assert world.list_for("new")["degraded"] == []


def test_what_may_be_missing_because_cassandra_is_out_is_said(make: Make) -> None:
    world = make(hot=stocked(), kept=Broken())
    world.did("ann", recent("tea", "click"))
    answer = world.list_for("ann")
    assert (answer["features_from"], answer["degraded"]) == ("redis", ["cassandra"])


def test_of_two_bases_the_later_counts_and_of_two_tiles_the_better_stores() -> None:
    def tiles(base: int, day: int) -> TileSet:
        return TileSet([(BASE, base, {"purchases": 10}), (DAY, TODAY, {"purchases": day})])

    merged = tiles(TODAY - DAY_MS, 1).over(tiles(TODAY - 2 * DAY_MS, 7))
    assert sum(merged.within("purchases", LIFETIME, NOW)) == 11
    merged = tiles(TODAY - 2 * DAY_MS, 1).over(tiles(TODAY - DAY_MS, 7))
    assert sum(merged.within("purchases", LIFETIME, NOW)) == 11
