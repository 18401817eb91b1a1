"""Which landed answers a night compares, and what was on its way when they were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from batch.answers import MOST, Answer, Shown, answers, landed_since
from batch.compare import compare, remember
from batch.lake import Lake
from batch.motion import SETTLED_MS, motion
from feature_store.settings import Settings
from feature_store.topics import IMPRESSIONS, INTERACTIONS, PROFILES
from models.registry import Registry
from tests.builders import DAY, HOUR, NOON
from tests.unit.batch.builders import history
from tests.unit.batch.days import decoded, land
from tests.unit.batch.market import teacher

TOPIC = IMPRESSIONS.name


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(lake=tmp_path, horizon_hours=48)


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.lake)


def shown(number: int, first: int = 0) -> list[dict[str, Any]]:
    """Impressions whose time is their number."""
    return [
        {"impression_id": f"i{n}", "actor": "ann", "shown_at": n, "bundle": "b1", "mode": "mixed",
         "columns": "c", "plain": True, "degraded": [], "items": []}
        for n in range(first, first + number)
    ]  # fmt: skip


def times(lake: Lake, since: dict[str, int]) -> list[int]:
    return [one.shown_at for one in answers(landed_since(lake, TOPIC, since), "b1")]


def test_only_what_was_landed_since_is_read(lake: Lake) -> None:
    land(lake, TOPIC, decoded(TOPIC, shown(3), NOON))
    land(lake, TOPIC, decoded(TOPIC, shown(2, first=3), NOON + HOUR, first=3))
    assert times(lake, {}) == [0, 1, 2, 3, 4]
    assert times(lake, {"0": 3}) == [3, 4]
    assert times(lake, {"0": 5}) == []


def test_a_busy_shop_costs_no_more_than_the_budget(lake: Lake) -> None:
    land(lake, TOPIC, decoded(TOPIC, shown(3 * MOST), NOON))
    found = times(lake, {})
    assert len(found) == MOST
    assert found[-1] - found[0] > 2 * MOST


def bought(actor: str, item: str, at: int) -> dict[str, Any]:
    return {
        "event_id": f"{actor}{at}", "user_id": actor, "item_id": item, "type": "purchase",
        "event_time": at, "price": 1.0,
    }  # fmt: skip


def answer(actor: str, at: int) -> Answer:
    item = Shown("milk", ("own",), history().items.price_minor)
    return Answer(actor, at, (item,))


def test_an_event_is_on_its_way_until_it_has_arrived_and_settled(
    settings: Settings, lake: Lake
) -> None:
    topic, arrived = INTERACTIONS.name, NOON + HOUR
    land(lake, topic, decoded(topic, [bought("ann", "milk", NOON)], arrived))
    found = motion(settings, lake, [answer("ann", NOON - 1), answer("ann", NOON + DAY)], {})
    moments = (NOON - 1, NOON + 1, arrived + SETTLED_MS - 1, arrived + SETTLED_MS)
    assert [found.of_actor("ann", at) for at in moments] == [False, True, True, False]
    assert [found.of_item("milk", at) for at in moments] == [False, True, True, False]
    assert [found.of_anything(at) for at in moments] == [False, True, True, False]
    assert not found.of_actor("bob", NOON + 1)


def test_an_event_too_late_for_the_stream_is_settled_by_the_night_that_lands_it(
    settings: Settings, lake: Lake
) -> None:
    topic, arrived = INTERACTIONS.name, NOON + 3 * DAY
    land(lake, topic, decoded(topic, [bought("ann", "milk", NOON)], arrived))
    asked = [answer("ann", arrived + DAY)]
    assert motion(settings, lake, asked, {}).of_actor("ann", arrived + DAY)
    assert not motion(settings, lake, asked, {"0": 1}).of_actor("ann", arrived + DAY)


def test_who_asked_to_be_erased_is_not_compared(settings: Settings, lake: Lake) -> None:
    topic = PROFILES.name
    land(lake, topic, decoded(topic, [None], NOON))
    found = motion(settings, lake, [answer("0", NOON)], {})  # the key of the first message
    assert found.of_actor("0", NOON)


class Nobody(Registry):
    """A registry without a champion."""

    def __init__(self) -> None:
        """Asks no server."""

    def champion(self) -> None:
        return None


def test_a_night_without_a_champion_compares_nothing_and_says_so(
    settings: Settings, lake: Lake, tmp_path: Path
) -> None:
    found = compare(settings, lake, Nobody(), teacher(history()), tmp_path / "served")
    assert found.facts() == {"skew": None, "not_compared": "there is no champion yet"}


def test_what_was_compared_is_remembered_for_this_topic_alone(
    settings: Settings, lake: Lake
) -> None:
    remember(settings, lake)
    assert not (lake.root / "compared.json").exists()
    land(lake, TOPIC, decoded(TOPIC, shown(3), NOON))
    remember(settings, lake)
    said = orjson.loads((lake.root / "compared.json").read_bytes())
    assert said == {"topic_id": "id", "offsets": {"0": 3}}
