"""A shop small enough to know by heart, served by the real app over an in-memory store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import orjson
from fastapi.testclient import TestClient

from feature_store.declaration import Declaration, Entity, load
from feature_store.events import WEIGHTS
from feature_store.stores.base import Recent, Record, Store, StoreUnavailable, TrendingList
from feature_store.stores.memory import MemoryStore
from feature_store.tiles import DAY_MS, Version
from feature_store.topics import INPUTS
from feature_store.vectors import ItemColumns, window_columns
from models import content, covisitation, own, popularity, repeats, shelf, slim
from models.als import Als, Rule
from models.bundle import Catalogue, write
from models.interactions import Interactions
from models.ranker import Ranker
from models.registry import RegistryUnavailable
from models.registry import Version as Registered
from models.rows import columns
from models.slim import LinearRule
from models.sources import Sources
from serving.app import app_of
from serving.guard import Guard, Ladder
from serving.parts import Outside, Parts
from serving.publisher import KafkaUnavailable, Outgoing
from serving.settings import ServingSettings
from serving.telemetry import Telemetry

DECLARATION: Declaration = load("feature_store.features")
NOW = time.time_ns() // 1_000_000
SHOP = {
    "milk": "dairy", "butter": "dairy", "cheese": "dairy", "yoghurt": "dairy",
    "bread": "bakery", "bun": "bakery", "cake": "bakery",
    "tea": "drinks", "beer": "drinks", "juice": "drinks",
}  # fmt: skip
ITEMS = tuple(sorted(SHOP))
CATEGORIES = ("bakery", "dairy", "drinks")

Row = tuple[str, str, str, float]
HISTORY: tuple[Row, ...] = (
    *(("ann", "milk", "purchase", days) for days in (1, 8, 15)),
    *(("ann", "bread", "purchase", days) for days in (1, 8)),
    *(("bob", item, "purchase", 2) for item in ("beer", "juice", "bun")),
    *(("eve", item, "purchase", 3) for item in ("tea", "cake", "juice")),
    *(("kim", item, "purchase", 4) for item in ("milk", "butter", "cheese", "bread")),
    *(("lee", item, "purchase", 5) for item in ("milk", "yoghurt", "bread", "bun")),
)


def recent(item: str, kind: str = "view", seconds_ago: float = 1.0) -> Recent:
    """One interaction just now, by the clock and not by NOW: a test may begin an hour later."""
    at = time.time_ns() // 1_000_000 - int(seconds_ago * 1_000)
    return Recent(at, f"{kind}-{item}", kind, item, 1, 100, "")


def record(item: str, at: int = NOW, **said: Any) -> Record:
    """An item's metadata as the stream writes it."""
    body = {
        "item_id": item,
        "title": item.capitalize(),
        "category": ["food", SHOP.get(item, "new")],
        "price": 1.5,
        **said,
    }
    return Record(Entity.ITEM, item, Version(at, 0, 0), orjson.dumps(body).decode())


def trending(*items: str, window: str = "24h", at: int = NOW) -> TrendingList:
    """A published list, the same for everything and for `drinks`."""
    listed = [(item, float(len(items) - place)) for place, item in enumerate(items)]
    return TrendingList(window, at, {"": listed, "drinks": listed})


def stocked() -> MemoryStore:
    """A store that knows the whole shop."""
    store = MemoryStore()
    store.write_records(record(item) for item in ITEMS)
    store.publish_trending(trending("beer", "tea"))
    return store


CUT = NOW - DAY_MS // 2


def publish_bundle(
    root: Path, with_ranker: bool = True, rows: Sequence[Row] = HISTORY, cut: int = CUT
) -> Path:
    """A bundle fitted on the shop's history; its ranker adds up three sources."""
    sources, names = _sources(rows, cut), columns(DECLARATION)
    said = Catalogue(
        tuple(item.capitalize() for item in ITEMS),
        tuple(("food", name) for name in CATEGORIES),
        ("b",),
    )
    ranker = _ranker(names) if with_ranker else None
    return write(root, DECLARATION, sources, said, ranker, {}, {})


def _sources(rows: Sequence[Row], cut: int) -> Sources:
    actors = sorted({actor for actor, *_ in rows})
    log = Interactions.build(
        actors,
        [actors.index(actor) for actor, *_ in rows],
        [ITEMS.index(item) for _, item, *_ in rows],
        [NOW - int(days * DAY_MS) for *_, days in rows],
        [WEIGHTS[kind] for _, _, kind, _ in rows],
        [100 for _ in rows],
    )
    count, width = len(ITEMS), len(window_columns(DECLARATION, Entity.ITEM))
    category = np.asarray([CATEGORIES.index(SHOP[item]) for item in ITEMS], np.int32)
    texts = [content.Text(item, ("food", SHOP[item]), "b") for item in ITEMS]
    factors = np.random.default_rng(1).normal(size=(count, 4)).astype(np.float32)
    mine = own.fit(log, cut, 30.0)
    popular = popularity.fit(log, count, NOW, 30.0)
    return Sources(
        cut_ms=cut,
        item_ids=ITEMS,
        index_of={item: position for position, item in enumerate(ITEMS)},
        columns=ItemColumns(
            np.zeros((count, width), np.float32),
            category,
            np.zeros(count, np.int32),
            np.full(count, 100, np.float32),
        ),
        als=Als.build(Rule(4, 10.0, 0.1, 5), factors),
        own=mine,
        covisitation=covisitation.fit(log, count, NOW, 30.0, k=3),
        linear=slim.fit(slim.liked(mine, count), LinearRule(most=100, near=5, ridge=1.0, k=5)),
        content=content.fit(texts, category, k=3),
        popularity=popular,
        shelf=shelf.fit(popular, category),
        repeats=repeats.fit(mine, category),
    )


def _ranker(names: Sequence[str]) -> Ranker:
    rng = np.random.default_rng(2)
    rows = rng.uniform(size=(400, len(names)))
    added = [names.index(f"score_{name}") for name in ("own", "als", "covisitation")]
    wanted = rows[:, added].sum(axis=1)
    data = lightgbm.Dataset(rows, wanted, feature_name=list(names))
    booster = lightgbm.train({"verbose": -1, "num_leaves": 8, "num_threads": 1}, data, 10)
    return Ranker(booster.model_to_string(), names)


class FakeKafka:
    """Remembers what was acknowledged; `out` makes it refuse."""

    def __init__(self) -> None:
        self.acknowledged: list[Outgoing] = []
        self.handed_over: list[Outgoing] = []
        self.out = False

    def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.out:
            raise KafkaUnavailable("out")
        self.acknowledged += messages

    def hand_over(self, message: Outgoing) -> None:
        if self.out:
            raise KafkaUnavailable("out")
        self.handed_over.append(message)

    def close(self) -> None:
        """Nothing to release."""


class FakeRegistry:
    """A registry whose alias points where the test says; None means MLflow is down."""

    def __init__(self) -> None:
        self.points_to: Path | None = None
        self.number = ""

    def champion(self) -> Registered | None:
        if self.points_to is None:
            raise RegistryUnavailable("down")
        return Registered(self.number or self.points_to.name, self.points_to.name, "run", {})

    def fetch(self, version: Registered, into: Path) -> Path:
        assert self.points_to is not None
        final = into / version.bundle_id
        if not final.exists():
            into.mkdir(parents=True, exist_ok=True)
            _copy(self.points_to, final)
        return final


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


class FakeLetters:
    """Dead letters as the test says; `out` makes Kafka refuse to count them."""

    def __init__(self) -> None:
        self.waiting = {topic.dead_letter: 0 for topic in INPUTS}
        self.out = False

    def count(self) -> Mapping[str, int]:
        if self.out:
            raise KafkaUnavailable("out")
        return self.waiting


class Broken(MemoryStore):
    """A store that does not answer; `hangs_s` makes it take its time first."""

    def __init__(self, hangs_s: float = 0.0) -> None:
        super().__init__()
        self.hangs_s = hangs_s
        self.calls = 0

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith(("read_", "changed_", "write_")):
            return super().__getattribute__(name)
        return self._fail

    def _fail(self, *_: object) -> Any:
        self.calls += 1
        time.sleep(self.hangs_s)
        raise StoreUnavailable("out")


@dataclass
class World:
    """The app under test and everything around it. Refreshers turn when `settle` is called."""

    root: Path
    hot: Store = field(default_factory=stocked)
    kept: Store = field(default_factory=stocked)
    rules: ServingSettings = field(default_factory=lambda: ServingSettings(refresh_s=60))
    kafka: FakeKafka = field(default_factory=FakeKafka)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    letters: FakeLetters = field(default_factory=FakeLetters)
    kept_deadline_s: float = 0.2

    def __post_init__(self) -> None:
        self.telemetry = Telemetry()
        pause_s = self.rules.pause_s
        self.hot_guard = Guard("redis", self.telemetry, self.hot, pause_s=pause_s)
        self.kept_guard = Guard(
            "cassandra", self.telemetry, self.kept, self.kept_deadline_s, pause_s=pause_s
        )
        stores = Ladder(self.hot_guard, self.kept_guard)
        outside = Outside(stores, stores, self.kafka, self.registry, self.root, self.letters)
        self.parts = Parts.assemble(DECLARATION, self.rules, self.telemetry, outside)
        self.http = TestClient(
            app_of(self.parts), base_url="http://127.0.0.1", raise_server_exceptions=False
        )

    @property
    def now(self) -> int:
        """A moment after everything written so far (ms)."""
        return max(NOW, time.time_ns() // 1_000_000) + 1

    def settle(self) -> World:
        """Loads the bundle on disk and lets every refresher have two turns; starts no thread."""
        self.parts.champion.start_from_disk()
        for _ in range(2):
            for turn in (
                self.parts.trending.turn,
                self.parts.items.turn,
                self.parts.curation.turn,
            ):
                try:
                    turn()
                except StoreUnavailable:
                    continue
        return self

    def list_for(self, user: str, **asked: Any) -> dict[str, Any]:
        """The answer for a user; fails unless it is a 200."""
        answer = self.http.get(f"/api/recommendations/{user}", params=asked)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = orjson.loads(answer.content)
        return said

    def did(self, user: str, *recents: Recent) -> None:
        """Lets the hot store know of interactions."""
        self.hot.write_recents((user, recent) for recent in recents)


def ids(answer: dict[str, Any]) -> list[str]:
    """The item ids of a list, in order."""
    return [item["id"] for item in answer["items"]]


Make = Callable[..., World]
