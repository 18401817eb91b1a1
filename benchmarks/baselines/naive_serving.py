"""Serving as a tutorial shows it: FastAPI, one Redis key a feature, a scan of all items, LightGBM.

    uvicorn --factory benchmarks.baselines.naive_serving:create_app

It gives the same list as ours: the same bundle, sources, columns and rules, but every feature is
a GET of its own, ALS multiplies all factors, `Booster.predict` ranks, and pydantic checks the
answer. What a tutorial would not have (a key for each caller, limits, impressions) it lacks.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import lightgbm
import numpy as np
import orjson
import redis
from fastapi import FastAPI
from pydantic import BaseModel

from feature_store.declaration import Declaration, Entity, load
from feature_store.settings import Settings
from feature_store.stores.base import Recent, UserState
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAYS_28
from feature_store.vectors import window_columns, window_values
from models.als import Als
from models.bundle import RANKER, Bundle
from models.interactions import Floats, Ints
from models.retrieval import retrieve
from models.rows import columns, rows
from models.topk import top
from serving.rules import diversify, just_bought, refused

#: The column that is counted from tiles, beside the windows.
ACTIVE_DAYS: Final = "user_active_days"
#: At most this part of a list is from one shelf, as in ours.
SHARE: Final = 0.34


class Item(BaseModel):
    """One item of a list."""

    id: str
    title: str
    category: list[str]
    score: float


class Answer(BaseModel):
    """A list."""

    user_id: str
    items: list[Item]


def key(user: str, name: str) -> str:
    """Where one value of one user lies."""
    return f"naive:{user}:{name}"


def fill(settings: Settings, declaration: Declaration, users: list[str], now: int) -> None:
    """Writes each feature of each user under a key of its own, worked out as of `now` (ms)."""
    store, client = RedisStore.connect(settings, 60), redis.Redis.from_url(settings.redis)
    names = (*window_columns(declaration, Entity.USER), ACTIVE_DAYS)
    for user in users:
        known = store.read_user(user)
        days = sum(1 for _ in known.tiles.covered(DAYS_28, now))
        values = [*window_values(declaration, Entity.USER, known.tiles, now), days]
        said = dict(zip((key(user, name) for name in names), values, strict=True))
        recents = orjson.dumps([recent.encode() for recent in known.recents])
        client.mset({**said, key(user, "recents"): recents})
    store.close()
    client.close()


class Scanned(Als):
    """All factors are multiplied for each user."""

    def best(self, user: Floats, cap: int) -> tuple[Ints, Floats]:
        return top(self.factors @ user, cap)


class Tutorial:
    """The parts of the app, loaded at the start."""

    def __init__(self, settings: Settings) -> None:
        self.declaration = load(settings.features)
        path = next(path for path in settings.bundles.iterdir() if path.is_dir())
        self.bundle = Bundle.load(path, self.declaration)
        self.booster = lightgbm.Booster(model_str=(path / RANKER).read_text())
        als = self.bundle.sources.als
        scanned = Scanned(als.rule, np.array(als.factors), als.gram, als.by_norm)
        self.sources = replace(self.bundle.sources, als=scanned)
        self.windows = window_columns(self.declaration, Entity.USER)
        self.client = redis.Redis.from_url(settings.redis)

    def answer(self, user: str, limit: int) -> Answer:
        """The best items, at most a third of them from one shelf."""
        now = time.time_ns() // 1_000_000
        said = orjson.loads(self.client.get(key(user, "recents")) or "[]")
        known = UserState(user, recents=tuple(map(Recent.decode, said)))
        found = retrieve(self.sources, known, now)
        matrix = rows(self.declaration, self.sources, self.sources.columns, known, found, now)
        for column, name in enumerate((*self.windows, ACTIVE_DAYS)):
            value = float(self.client.get(key(user, name)) or 0)
            matrix[:, column if name != ACTIVE_DAYS else self._active_days] = value
        scores = self.booster.predict(matrix, num_threads=1)
        unwanted = refused(known.recents) | just_bought(known.recents, now)
        items = [
            self._item(int(found.positions[row]), float(scores[row]))
            for row in np.argsort(-scores, kind="stable")
        ]
        allowed = [item for item in items if item.id not in unwanted]
        most = max(2, int(limit * SHARE))
        best = diversify(allowed, lambda item: item.category[-1:], limit, lambda _: most)
        return Answer(user_id=user, items=best)

    @property
    def _active_days(self) -> int:
        return columns(self.declaration).index(ACTIVE_DAYS)

    def _item(self, position: int, score: float) -> Item:
        said, code = self.bundle.catalogue, int(self.bundle.columns.category[position])
        return Item(
            id=self.bundle.item_ids[position],
            title=said.titles[position],
            category=list(said.categories[code]),
            score=score,
        )


def create_app() -> FastAPI:
    """The app, over the store and the bundle that the environment names."""
    app, tutorial = FastAPI(), Tutorial(Settings())

    @app.get("/recommendations/{user_id}")
    def recommendations(user_id: str, limit: int = 20) -> Answer:
        return tutorial.answer(user_id, limit)

    return app
