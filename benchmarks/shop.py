"""A shop of a million items and 200,000 users, made in a minute: a bundle, and features in Redis.

Factors are trained ones, resampled (`factors.py`). All else is made up, in the shapes and sizes
that a nightly and the stream would write.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
import orjson
import redis

from feature_store.declaration import Declaration, Entity
from feature_store.settings import Settings
from feature_store.stores.base import Recent, Record
from feature_store.stores.redis import RedisStore
from feature_store.tiles import BASE, DAY, DAY_MS, HOUR, MINUTE, Level, Tile, Version, encode_body
from feature_store.vectors import ItemColumns, window_columns
from models import repeats, rows, shelf
from models.als import Als, Rule
from models.bundle import Catalogue, write
from models.interactions import Floats, Ints
from models.linear import Linear
from models.neighbours import Neighbours
from models.own import NEVER, OwnHistory
from models.ranker import Ranker
from models.sources import Sources

SEED: Final = 11
LEAVES, BRANDS = 400, 5_000
CLOSE, ALIKE = 30, 20
#: Items of the linear model, and how many each speaks for.
LINEAR, SPOKEN_FOR = 8_000, 50
#: Items in a user's older history.
HISTORY: Final = 30
#: So many users are written; the others are copies of theirs, made inside Redis.
ORIGINALS: Final = 2_000
RECENTS: Final = 60
TREES: Final = 200
#: Which tiles a user has: a level, how many, and how old the oldest may be.
RINGS: Final[tuple[tuple[Level, int], ...]] = ((MINUTE, 6), (HOUR, 5), (DAY, 12), (BASE, 1))

COPY: Final = """
for number = tonumber(ARGV[3]), tonumber(ARGV[4]) - 1 do
  local original = number % tonumber(ARGV[2])
  redis.call('COPY', ARGV[1] .. original, ARGV[1] .. number, 'REPLACE')
end
"""


@dataclass(frozen=True)
class Shop:
    """How large, and as of when (ms)."""

    declaration: Declaration
    items: int
    users: int
    now: int

    @property
    def item_ids(self) -> tuple[str, ...]:
        """In the order of the bundle."""
        return tuple(f"item-{number:07}" for number in range(self.items))

    def user(self, number: int) -> str:
        """A user's id."""
        return f"user-{number}"

    def publish(self, root: Path, factors: Floats) -> Path:
        """Writes the bundle."""
        names = rows.columns(self.declaration)
        said = Catalogue(
            tuple(f"A thing called {number}" for number in range(self.items)),
            tuple((f"aisle {leaf // 20}", f"shelf {leaf}") for leaf in range(LEAVES)),
            tuple(f"brand {number}" for number in range(BRANDS)),
        )
        ranker = made_up_ranker(names)
        return write(root, self.declaration, self._sources(factors), said, ranker, {}, {})

    def _sources(self, factors: Floats) -> Sources:
        rng = np.random.default_rng(SEED)
        popularity = rng.zipf(1.3, self.items).clip(0, 100_000).astype(np.float32)
        width = len(window_columns(self.declaration, Entity.ITEM))
        cut = self.now - DAY_MS // 2
        category = rng.integers(0, LEAVES, self.items).astype(np.int32)
        own = self._histories(rng, cut)
        return Sources(
            cut_ms=cut,
            item_ids=self.item_ids,
            index_of={item: position for position, item in enumerate(self.item_ids)},
            columns=ItemColumns(
                # Nothing is in Redis about the items, and so serving would read it.
                np.zeros((self.items, width), np.float32),
                category,
                rng.integers(0, BRANDS, self.items).astype(np.int32),
                rng.integers(50, 5_000, self.items).astype(np.float32),
            ),
            als=Als.build(Rule(factors.shape[1], 10.0, 0.1, 10), factors),
            own=own,
            covisitation=_neighbours(rng, self.items, CLOSE),
            linear=_linear(rng, self.items),
            content=_neighbours(rng, self.items, ALIKE),
            popularity=popularity,
            shelf=shelf.fit(popularity, category),
            repeats=repeats.fit(own, category),
        )

    def _histories(self, rng: np.random.Generator, cut: int) -> OwnHistory:
        items = np.sort(_skewed(rng, self.items, (self.users, HISTORY)), axis=1).ravel()
        ages = rng.exponential(30 * DAY_MS, (2, items.size)).astype(np.int64)
        bought = rng.poisson(1.0, items.size).astype(np.int32)
        return OwnHistory(
            cut_ms=cut,
            half_life_days=30.0,
            row_of={self.user(number): number for number in range(self.users)},
            indptr=np.arange(self.users + 1, dtype=np.int64) * HISTORY,
            items=items,
            strengths=rng.exponential(1.0, items.size).astype(np.float32),
            bought=bought,
            first=np.where(bought > 0, cut - ages.sum(axis=0), NEVER),
            last=np.where(bought > 0, cut - ages[0], 0),
            turn=np.where(bought > 0, rng.integers(1, 20, items.size), 0).astype(np.int32),
            newest=np.full(self.users, cut - 1, np.int64),
            turns=np.full(self.users, 20, np.int32),
        )

    def fill(self, settings: Settings) -> None:
        """Writes the users into Redis: profile, tiles, recents."""
        store = RedisStore.connect(settings, 60)
        rng = np.random.default_rng(SEED)
        originals = min(ORIGINALS, self.users)
        for start in range(0, originals, 100):
            numbers = range(start, min(start + 100, originals))
            store.write_tiles(tile for number in numbers for tile in self._tiles(rng, number))
            store.write_recents(
                (self.user(number), recent) for number in numbers for recent in self._recents(rng)
            )
            store.write_records(self._profile(number) for number in numbers)
        store.close()
        client = redis.Redis.from_url(settings.redis)
        for kind in ("user", "recent"):
            for start in range(originals, self.users, 10_000):
                key = f"{settings.namespace}:{kind}:{self.user(0)[:-1]}"
                end = min(start + 10_000, self.users)
                client.eval(COPY, 0, key, str(originals), str(start), str(end))
        client.close()

    def _tiles(self, rng: np.random.Generator, number: int) -> Iterator[Tile]:
        for level, count in RINGS:
            ages = rng.choice(min(level.slots, 50), min(count, level.slots), replace=False)
            for age in ages.tolist():
                start = level.start(self.now - age * level.ms)
                said = {
                    feature.name: int(rng.integers(1, 50))
                    for feature in self.declaration.of(Entity.USER, level)
                    if rng.random() < 0.5
                }
                version = Version.of_tile(start, 0, 5)
                yield Tile(Entity.USER, self.user(number), level, version, encode_body(said))

    def _recents(self, rng: np.random.Generator) -> Iterator[Recent]:
        ages = np.sort(rng.exponential(3 * DAY_MS, RECENTS)).astype(int).tolist()
        kinds = rng.choice(("view", "click", "add_to_cart", "purchase"), RECENTS).tolist()
        items = _skewed(rng, self.items, RECENTS).tolist()
        for age, kind, item in zip(ages, kinds, items, strict=True):
            event_id = rng.bytes(8).hex()
            yield Recent(self.now - age, event_id, kind, f"item-{item:07}", 1, 199, "")

    def _profile(self, number: int) -> Record:
        said: dict[str, Any] = {"user_id": self.user(number), "country": "DE", "segments": ["b"]}
        body = orjson.dumps(said).decode()
        return Record(Entity.USER, self.user(number), Version(self.now, 0, 0), body)


def shop(declaration: Declaration, items: int, users: int) -> Shop:
    """A shop as of this moment."""
    return Shop(declaration, items, users, time.time_ns() // 1_000_000)


def made_up_ranker(names: tuple[str, ...]) -> Ranker:
    """As many trees, as deep, as the nightly's; what they have learned is beside the point."""
    rng = np.random.default_rng(SEED)
    table = np.floor(np.exp(rng.normal(0, 1, (20_000, len(names))))).astype(np.float32)
    table[rng.random(table.shape) < 0.2] = np.nan
    wanted = np.nan_to_num(np.log1p(table)) @ rng.normal(size=len(names))
    grades = np.digitize(wanted, np.quantile(wanted, (0.6, 0.8, 0.9, 0.97)))
    data = lightgbm.Dataset(table, grades, group=[100] * 200, feature_name=list(names))
    settings = {"objective": "lambdarank", "num_leaves": 31, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, data, TREES)
    return Ranker(booster.model_to_string(), names)


def _neighbours(rng: np.random.Generator, items: int, count: int) -> Neighbours:
    weights = -np.sort(-rng.random((items, count), dtype=np.float32), axis=1)
    return Neighbours(_skewed(rng, items, (items, count)), weights)


def _linear(rng: np.random.Generator, items: int) -> Linear:
    rows = np.sort(rng.choice(items, min(LINEAR, items), replace=False)).astype(np.int32)
    weights = rng.exponential(0.05, (len(rows), SPOKEN_FOR)).astype(np.float32)
    return Linear(rows, _skewed(rng, len(rows), weights.shape), -np.sort(-weights, axis=1))


def _skewed(rng: np.random.Generator, items: int, shape: int | tuple[int, int]) -> Ints:
    """Items, some far more often than others."""
    return (rng.random(shape) ** 3 * items).astype(np.int32)
