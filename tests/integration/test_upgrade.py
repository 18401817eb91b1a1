"""A changed declaration takes over by replay, under traffic, while both stores are read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from batch.differences import compare
from feature_store.declaration import Declaration, Entity, load
from feature_store.reference import Fold, fold, ring
from feature_store.reference import Message as Logged
from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.memory import MemoryStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAYS_7, Tile, Version
from infra.cli import app
from infra.drain import drain, end_offsets
from infra.stack.errors import StackError
from infra.stack.http import call_json
from infra.stack.jobs import cancel, find, latest, require_live
from infra.stack.stack import Stack
from infra.stack.streaming import deploy
from infra.traffic.message import Message
from infra.traffic.producer import Sender
from infra.upgrade import upgrade
from tests.builders import DAY, HOUR, interaction
from tests.contracts.test_newest_wins import Careless
from tests.kafka_log import read_log

DEPLOYMENTS = ("hot", "kept")
USERS = [f"user-{n}" for n in range(10)]
BEFORE = """
from feature_store.aggregates import Count, Sum
from feature_store.declaration import Entity, Feature
from feature_store.tiles import DAY_1, DAYS_7, HOUR_1

FEATURES = (
    Feature("views", Entity.USER, ("view",), Count(), (HOUR_1, DAYS_7)),
    Feature("views", Entity.ITEM, ("view",), Count(), (HOUR_1, DAYS_7)),
)
"""
ADDED = 'Feature("spend_minor", Entity.USER, ("purchase",), Sum("amount_minor"), (DAY_1, DAYS_7))'
AFTER = f"{BEFORE}\nFEATURES += ({ADDED},)\n"


@pytest.fixture
def shop(
    stack: Stack, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """A shop with two days of past, hot and kept running by the declaration `BEFORE`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, source in (("before", BEFORE), ("after", AFTER)):
        (tmp_path / f"{settings.namespace}_{name}.py").write_text(source)
    monkeypatch.setenv("MILLRACE_NAMESPACE", settings.namespace)
    monkeypatch.setenv("MILLRACE_FEATURES", f"{settings.namespace}_before")
    now = time.time_ns() // 1_000_000
    with Sender(settings) as sender:
        sender.send_all(event(n, now - n * HOUR // 20) for n in range(2 * DAY // HOUR * 20))
    # Cancelling a Python job may take the task manager down with it: somebody must restart it.
    stack.up(["supervisor"])
    for deployment in DEPLOYMENTS:
        deploy(stack, deployment)
    yield stack.settings()
    for deployment in DEPLOYMENTS:
        cancel(stack, deployment)
    stack.down(["supervisor"])


def event(number: int, at: int) -> Message:
    """Everybody views and now and then buys."""
    user = USERS[number % len(USERS)]
    kind = "view" if number % 3 else "purchase"
    sent = interaction(kind, user, f"item-{number % 7}", at=at, price=1.5)
    return Message("user-interactions", user.encode(), orjson.dumps(sent.body), at)


@contextmanager
def traffic(settings: Settings) -> Iterator[None]:
    """About forty events a second, for as long as the block lasts."""
    ended = threading.Event()

    def send() -> None:
        with Sender(settings) as sender:
            number = 0
            while not ended.wait(0.025):
                number += 1
                sender.send(event(number, time.time_ns() // 1_000_000))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Reader(threading.Thread):
    """Reads a store all the time; what it has once seen must never be less."""

    def __init__(self, store: Store) -> None:
        super().__init__(daemon=True)  # a test that fails must not wait for it
        self.reads = 0
        self.wrong: list[str] = []
        self._store = store
        self._seen = dict.fromkeys(USERS, 0)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            self.look(USERS[self.reads % len(USERS)])

    def look(self, user: str) -> None:
        try:
            views = self._views(user)
            if views < self._seen[user]:
                self.wrong.append(f"{user}: {self._seen[user]} views, then {views}")
            self._seen[user] = views
        except Exception as failure:
            self.wrong.append(repr(failure))
        self.reads += 1

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _views(self, user: str) -> int:
        tiles = self._store.read_user(user).tiles
        return sum(tiles.within("views", DAYS_7, time.time_ns() // 1_000_000))


def differences(store: Store, log: list[Logged], features: Declaration, horizon_ms: int) -> str:
    """Where a drained store is not what the reference folds of a log; empty when nowhere."""
    folded = fold(features, log, horizon_ms).tiles()
    expected = list(folded) if store.keeps_all else ring(folded).values()
    found = compare(store.name, store.scan_tiles(), expected, {})
    return "" if found.equal else str(found)


def test_a_feature_is_added_under_traffic_and_no_tile_is_ever_less(
    stack: Stack, shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = {"hot": RedisStore.connect(shop), "kept": CassandraStore.connect(shop)}
    for deployment in DEPLOYMENTS:
        drain(stack, shop, deployment, end_offsets(shop))
    monkeypatch.setenv("MILLRACE_FEATURES", f"{shop.namespace}_after")
    readers = [Reader(store) for store in stores.values()]
    for reader in readers:
        reader.start()
    with traffic(shop):
        for deployment in DEPLOYMENTS:
            upgrade(stack, deployment)
    until = end_offsets(shop)
    for deployment in DEPLOYMENTS:
        drain(stack, shop, deployment, until)
    for reader in readers:
        reader.end()
        assert reader.wrong == []
        assert reader.reads > 100
    features, log = load(f"{shop.namespace}_after"), read_log(shop, "user-interactions")
    for deployment, store in stores.items():
        assert not differences(store, log, features, shop.horizon_ms)
        successor, old = find(stack, deployment), f"{shop.namespace}-{deployment}"
        assert successor is not None
        assert successor.title == f"{old}-g1"
        ended = latest(stack, old)
        assert ended is not None
        assert ended.state == "CANCELED"
        assert not (stack.home.checkpoints / old).exists()
        store.close()


def test_an_upgrade_that_is_interrupted_leaves_the_old_job_and_nothing_else(
    stack: Stack, shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_FEATURES", f"{shop.namespace}_after")
    before = require_live(stack, "hot")

    def interrupt(name: str, behind: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrade(stack, "hot", interrupt)
    assert require_live(stack, "hot") == before
    with pytest.raises(StackError, match="hot-g1"):
        require_live(stack, "hot-g1")


def verb(*words: str) -> str:
    """What `millrace stream` prints, as an engineer would type it."""
    done = CliRunner().invoke(app, ["stream", *words], env={"COLUMNS": "300"})
    assert done.exit_code == 0, done.output
    return done.stdout


def listed(title: str) -> tuple[str, str]:
    """(state, what it is wanted as) of the newest job of that title, as `status` shows it."""
    row = next(line for line in verb("status").splitlines() if line.startswith(f"{title} "))
    _, state, *_, wanted_as, _ = row.split()  # the age before it ends in "s"
    return state, "" if wanted_as == "s" else wanted_as


def test_a_job_goes_on_from_its_savepoint_with_other_slots_and_the_declaration_it_had(
    stack: Stack, shop: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(stack.home.root))
    drain(stack, shop, "hot", end_offsets(shop))
    before = find(stack, "hot")
    where = verb("savepoint", "hot").strip()
    assert "is cancelled" in verb("cancel", "hot")
    assert listed(f"{shop.namespace}-hot") == ("CANCELED", "")  # and no longer wanted
    monkeypatch.setenv("MILLRACE_FEATURES", f"{shop.namespace}_after")
    told = ("--from", where, "--parallelism", "2", "--state", "hashmap")
    assert "hot runs: http://" in verb("submit", "hot", *told)
    after = find(stack, "hot")
    assert before is not None
    assert after is not None
    assert (after.arguments, after.environment) == (before.arguments, before.environment)
    assert (after.state, after.parallelism) == ("hashmap", 2)
    assert listed(f"{shop.namespace}-hot") == ("RUNNING", "hot")
    restored = call_json(
        f"{stack.environment()['MILLRACE_FLINK']}/jobs/{require_live(stack, 'hot').id}/checkpoints"
    )["latest"]["restored"]
    assert restored["external_path"].removeprefix("file:") == where
    with traffic(shop):
        time.sleep(2)
    drain(stack, shop, "hot", end_offsets(shop))
    store = RedisStore.connect(shop)
    features, log = load(f"{shop.namespace}_before"), read_log(shop, "user-interactions")
    assert not differences(store, log, features, shop.horizon_ms)


#: An upgrade in small, without a stack: two events of everybody, and a declaration that grows.
START = time.time_ns() // 1_000_000 - HOUR
LOG = [Logged(0, n, START + n, event(n, START + n).value) for n in range(2 * len(USERS))]
#: The first one under another id: what a job makes of it that does not know copies.
AGAIN = replace(LOG[0], value=event(0, START).value)
NEW = load("feature_store.features")
OLD = Declaration(tuple(f for f in NEW.features if f.name != "spend_minor"))


def written(features: Declaration, log: list[Logged], generation: int = 0) -> Iterator[Tile]:
    """All that a job writes while it folds a log, and more: every tile after every message."""
    state = Fold(features, 2 * DAY)
    for message in log:
        state.add(message)
        for one in state.tiles():
            version = Version.of_tile(one.start, 0, one.version.applied, generation)
            yield replace(one, version=version)


def complaints(store: Store, new: Iterator[Tile]) -> list[str]:
    """What is wrong when a new job writes this beside an old one that has folded everything."""
    store.write_tiles(written(OLD, LOG))
    reader = Reader(store)
    for one in new:
        store.write_tiles([one])
        if one.entity == Entity.USER:
            reader.look(one.entity_id)
    different = differences(store, LOG, NEW, 2 * DAY)
    return [*reader.wrong, *([different] if different else [])]


def test_an_upgrade_without_a_bug_is_right() -> None:
    assert complaints(MemoryStore(), written(NEW, LOG, generation=1)) == []


@pytest.mark.parametrize(
    ("store", "log", "generation", "says"),
    [
        (Careless, LOG, 1, "1 views, then 0"),
        (MemoryStore, LOG, 0, "different="),
        (MemoryStore, LOG[:-5], 1, "different="),
        (MemoryStore, [*LOG, AGAIN], 1, "different="),
    ],
    ids=["half a fold wins", "the old job wins", "what came meanwhile is missing", "twice"],
)
def test_a_planted_bug_of_an_upgrade_is_found(
    store: type[Store], log: list[Logged], generation: int, says: str
) -> None:
    assert says in str(complaints(store(), written(NEW, log, generation)))
