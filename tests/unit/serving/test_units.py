"""The API in parts: each unit has its routes, and only what these need."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.settings import ServingSettings
from serving.units import Unit
from tests.unit.serving.world import Make, World, ids


def paths(world: World) -> set[tuple[str, str]]:
    said = world.http.get("/openapi.json").json()["paths"]
    return {(method, path) for path, methods in said.items() for method in methods}


def only(make: Make, unit: Unit, **parts: Path) -> World:
    return make(rules=ServingSettings(refresh_s=60, access="local", only=unit), **parts)


def loops(world: World) -> set[str]:
    return {loop._name for loop in world.parts.loops}


def test_the_units_together_are_the_whole_and_share_only_what_all_have(make: Make) -> None:
    units = {unit: paths(only(make, unit)) for unit in Unit}
    common = set.intersection(*units.values())
    assert common == {("get", path) for path in ("/health/live", "/health/ready", "/api/status")}
    assert set.union(*units.values()) == paths(make())
    assert sum(len(found - common) for found in units.values()) == len(paths(make()) - common)


def test_another_units_routes_are_not_there(make: Make) -> None:
    catalogue = only(make, Unit.CATALOG)
    assert catalogue.http.get("/api/products/milk").json()["title"] == "Milk"
    assert catalogue.http.get("/api/recommendations/ann").status_code == 404
    assert catalogue.http.get("/").status_code == 404
    lists = only(make, Unit.RECOMMENDATIONS)
    assert ids(lists.list_for("ann"))
    assert lists.http.get("/api/items/milk").status_code == 404


def test_what_the_shop_blocks_is_heard_of_wherever_items_are_listed(make: Make) -> None:
    assert all(
        "curation" in loops(only(make, unit)) for unit in (Unit.CATALOG, Unit.RECOMMENDATIONS)
    )


def test_profiles_are_ready_without_a_bundle_and_load_none(make: Make, tmp_path: Path) -> None:
    world = only(make, Unit.PROFILES, root=tmp_path)
    assert world.http.get("/health/ready").status_code == 200
    assert loops(world) & {"champion", "items", "trending", "curation"} == set()
    assert loops(make()) >= {"champion", "items", "trending"}
    assert world.http.put("/users/ann", json={"country": "NO"}).status_code == 202


@pytest.mark.parametrize("unit", [Unit.CATALOG, Unit.RECOMMENDATIONS])
def test_what_needs_a_bundle_is_not_ready_without_one(
    make: Make, unit: Unit, tmp_path: Path
) -> None:
    assert only(make, unit, root=tmp_path).http.get("/health/ready").status_code == 503
