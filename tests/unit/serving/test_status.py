"""The status page counts lists, not parts, and names what this process depends on."""

from __future__ import annotations

from typing import Any

from serving.settings import ServingSettings
from serving.units import Unit
from tests.unit.serving.world import Broken, Make, World, recent


def status(world: World) -> dict[str, Any]:
    said: dict[str, Any] = world.http.get("/api/status").json()
    return said


def test_a_list_that_lacks_two_parts_is_one_list(make: Make) -> None:
    world = make(hot=Broken(), kept=Broken())
    assert len(world.list_for("ann")["degraded"]) > 1
    said = status(world)
    assert (said["answers"], said["answers_degraded"]) == (1, 1)


def test_it_says_how_old_the_features_of_the_last_list_were(world: World) -> None:
    world.list_for("nobody")
    assert status(world)["feature_age_ms"] is None
    world.did("ann", recent("tea", seconds_ago=5))
    age = world.list_for("ann")["feature_age_ms"]
    assert status(world)["feature_age_ms"] == age >= 5_000


def test_profiles_alone_miss_no_model(make: Make) -> None:
    rules = ServingSettings(refresh_s=60, only=Unit.PROFILES)
    names = [part["name"] for part in status(make(rules=rules))["parts"]]
    assert names == ["redis", "cassandra", "kafka"]
