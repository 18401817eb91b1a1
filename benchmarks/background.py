"""Steady traffic behind a benchmark: so many interactions a second as they happen, open loop.

A process of its own, so that it holds its rate whatever the benchmark does; when it falls behind
it sends at once what is due. Its last line says what rate Kafka acknowledged.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.log import MIX
from feature_store.settings import Settings
from feature_store.topics import ITEMS
from infra.traffic import message
from infra.traffic.message import Message
from infra.traffic.producer import Sender
from infra.traffic.simulation import World, made_up_world

SEED = 7
#: How many messages become due together: at 2,000 a second, one batch every 5 ms.
BATCH = 10


def world_of(users: int, items: int) -> World:
    """The people and items that a benchmark and its background share."""
    return made_up_world(users, items, SEED)


def traffic(users: Sequence[str], items: Sequence[str]) -> Iterator[Message]:
    """Interactions without end, each with the time at which it is asked for."""
    rng = np.random.default_rng(SEED)
    types, shares = list(MIX), list(MIX.values())
    while True:
        kinds = rng.choice(types, 1000, p=shares).tolist()
        people = rng.integers(0, len(users), 1000).tolist()
        # The square makes some items far more popular than others.
        places = (rng.random(1000) ** 2 * len(items)).astype(int).tolist()
        for kind, person, place in zip(kinds, people, places, strict=True):
            yield message.interaction(
                {
                    "event_id": str(uuid.uuid4()),
                    "user_id": users[person],
                    "item_id": items[place],
                    "type": kind,
                    "event_time": time.time_ns() // 1_000_000,
                    "price": 9.99,
                }
            )


def send(settings: Settings, messages: Iterator[Message], rate: int, seconds: int) -> float:
    """Sends at the rate; returns how many a second were acknowledged."""
    begun = time.monotonic()
    with Sender(settings) as sender:
        for number in range(rate * seconds):
            if number % BATCH == 0:
                time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            sender.send(next(messages))
    return sender.acknowledged / (time.monotonic() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rate", type=int, default=2000, help="interactions a second")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--users", type=int, required=True, help="people in the world")
    parser.add_argument("--items", type=int, required=True, help="items in the world")
    parser.add_argument("--spare", type=int, default=0, help="leave the first so many people alone")
    options = parser.parse_args()
    world = world_of(options.users, options.items)
    items = [told.key.decode() for told in world.descriptions if told.topic == ITEMS.name]
    messages = traffic(world.user_ids[options.spare :], items)
    achieved = send(Settings(), messages, options.rate, options.seconds)
    print(json.dumps({"achieved_eps": round(achieved)}))


if __name__ == "__main__":
    main()
