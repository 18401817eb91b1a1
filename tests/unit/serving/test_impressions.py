"""What is logged of an answer is what the contract says."""

from __future__ import annotations

from feature_store.events import ImpressionMessage
from tests.unit.serving.world import Broken, Make, World, ids, recent


def logged(world: World, *users: str) -> list[ImpressionMessage]:
    with world.http:
        for user in users:
            world.list_for(user, limit=4)
    return [ImpressionMessage.model_validate_json(m.value) for m in world.kafka.handed_over]


def test_every_kind_of_answer_keeps_the_contract_without_unknown_fields(make: Make) -> None:
    worlds = (make(), make(hot=Broken(), kept=Broken()))
    for world in worlds:
        world.did("ann", recent("tea", "click")) if world is worlds[0] else None
        for message in logged(world, "ann", "ann", "nobody"):
            assert not message.model_extra
            assert not any(item.model_extra for item in message.items)
            assert [item.position for item in message.items] == [0, 1, 2, 3]
            assert all(item.propensity == 1 for item in message.items)


def test_an_impression_names_its_answer(world: World) -> None:
    with world.http:
        answer = world.list_for("ann", limit=4)
    (message,) = (ImpressionMessage.model_validate_json(m.value) for m in world.kafka.handed_over)
    assert message.impression_id == answer["impression_id"]
    assert [item.item_id for item in message.items] == ids(answer)


def test_what_the_request_said_besides_makes_an_answer_that_the_log_alone_cannot_make(
    world: World,
) -> None:
    with world.http:
        world.list_for("ann")
        world.list_for("ann", mode="discover")
        world.list_for("ann", category="bakery")
        world.list_for("ann", context="item", item_id="milk")
    said = [ImpressionMessage.model_validate_json(m.value) for m in world.kafka.handed_over]
    assert [message.plain for message in said] == [True, True, False, False]


def test_a_full_queue_drops_and_counts(world: World) -> None:
    impressions = world.parts.impressions
    world.list_for("ann")
    impressions._queue *= impressions._capacity
    assert ids(world.list_for("bob"))
    text = world.http.get("/metrics").text
    assert 'messages_total{fate="dropped",topic="recommendation-impressions"} 1.0' in text
