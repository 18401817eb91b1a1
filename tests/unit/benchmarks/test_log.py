"""What a benchmark's log says of itself is what is in it."""

from __future__ import annotations

import orjson
import pytest

from benchmarks.log import MIX, Log, make
from feature_store import declaration
from feature_store.events import Interaction, decode_interaction
from feature_store.reference import Message, fold
from feature_store.stores.base import RECENTS_KEPT
from feature_store.tiles import HOUR_MS

END = 1_773_144_000_000
APPEND = END + 1000


@pytest.fixture(scope="module")
def log() -> Log:
    return make(events=5000, users=50, items=20, span_ms=HOUR_MS, end_ms=END)


def bodies(log: Log) -> list[bytes]:
    return [line.rstrip("\n").split("\t")[1].encode() for line in log.lines()]


def test_every_message_is_valid_and_keyed_by_its_actor(log: Log) -> None:
    for line in log.lines():
        key, body = line.rstrip("\n").split("\t")
        event = decode_interaction(body.encode(), APPEND)
        assert isinstance(event, Interaction)
        assert event.actor == key


def test_some_messages_are_copies(log: Log) -> None:
    ids = {orjson.loads(body)["event_id"] for body in bodies(log)}
    assert len(ids) == len(log.distinct) < log.messages == 5000


def test_every_type_of_event_comes(log: Log) -> None:
    assert {orjson.loads(body)["type"] for body in bodies(log)} == set(MIX)


def test_the_tail_is_what_the_reference_engine_makes_of_it(log: Log) -> None:
    features = declaration.load("feature_store.features")
    sent = (Message(0, n, APPEND, body) for n, body in enumerate(bodies(log)))
    folded = {
        (str(tile.entity), tile.entity_id, tile.level.code, tile.start): tile.version.applied
        for tile in fold(features, sent, 10 * HOUR_MS).tiles()
    }
    tail = log.tail(features)
    assert len(tail.tiles) > 50
    assert {address: folded[address] for address in tail.tiles} == tail.tiles


def test_the_tail_expects_no_more_recents_than_are_kept() -> None:
    busy = make(events=5000, users=3, items=20, span_ms=HOUR_MS, end_ms=END)
    tail = busy.tail(declaration.load("feature_store.features"))
    assert set(tail.recents.values()) == {RECENTS_KEPT}


def test_the_same_seed_makes_the_same_log(log: Log) -> None:
    again = make(events=5000, users=50, items=20, span_ms=HOUR_MS, end_ms=END)
    assert list(again.lines()) == list(log.lines())
