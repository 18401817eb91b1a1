"""Small logs and bundles, built in a line."""

from __future__ import annotations

import numpy as np

from feature_store.declaration import Declaration, Entity, load
from feature_store.events import WEIGHTS
from feature_store.stores.base import Recent, UserState
from feature_store.tiles import DAY_MS
from feature_store.vectors import ItemColumns, window_columns
from models import content, covisitation, own, popularity, repeats, shelf, slim
from models.als import Als, Rule
from models.bundle import Catalogue
from models.interactions import Interactions
from models.slim import LinearRule
from models.sources import Sources

NOW = 1_700_000_000_000
ITEMS = ("beer", "bread", "butter", "jam", "milk", "tea")
RULE = Rule(rank=2, alpha=10.0, regularisation=0.1, iterations=5)
DECLARATION: Declaration = load("feature_store.features")

Row = tuple[str, str, str, float]


def log(*rows: Row, items: tuple[str, ...] = ITEMS) -> Interactions:
    """Rows are (actor, item, type, days before NOW)."""
    actors = sorted({actor for actor, *_ in rows})
    return Interactions.build(
        actors,
        [actors.index(actor) for actor, *_ in rows],
        [items.index(item) for _, item, *_ in rows],
        [NOW - int(days * DAY_MS) for *_, days in rows],
        [WEIGHTS[kind] for _, _, kind, _ in rows],
        [100 for _ in rows],
    )


def recent(item: str, kind: str = "purchase", days: float = 0.0, event_id: str = "e") -> Recent:
    """One interaction, `days` before NOW."""
    return Recent(NOW - int(days * DAY_MS), event_id, kind, item, 1, 100, "")


def user(actor: str, *recents: Recent) -> UserState:
    """A user who did these things."""
    return UserState(actor, recents=tuple(sorted(recents, reverse=True)))


def sources(history: Interactions, cut: int = NOW, items: tuple[str, ...] = ITEMS) -> Sources:
    """Sources fitted on `history` before `cut`; the ALS factors are seeded noise."""
    known = history.before(cut)
    count = len(items)
    width = len(window_columns(DECLARATION, Entity.ITEM))
    factors = np.random.default_rng(1).normal(size=(count, RULE.rank)).astype(np.float32)
    mine = own.fit(known, cut, 30.0)
    texts = [content.Text(name, ("food",), "b") for name in items]
    popular = popularity.fit(known, count, cut, 30.0)
    return Sources(
        cut_ms=cut,
        item_ids=items,
        index_of={item: position for position, item in enumerate(items)},
        columns=ItemColumns(
            np.zeros((count, width), np.float32),
            np.zeros(count, np.int32),
            np.zeros(count, np.int32),
            np.full(count, 100, np.float32),
        ),
        als=Als.build(RULE, factors),
        own=mine,
        covisitation=covisitation.fit(known, count, cut, 30.0, k=3),
        linear=slim.fit(slim.liked(mine, count), LinearRule(most=100, near=5, ridge=1.0, k=5)),
        content=content.fit(texts, np.zeros(count, np.int32), k=5),
        popularity=popular,
        shelf=shelf.fit(popular, np.zeros(count, np.int32)),
        repeats=repeats.fit(mine, np.zeros(count, np.int32)),
    )


def catalogue(items: tuple[str, ...] = ITEMS) -> Catalogue:
    """Titles are the ids in capitals; one category, one brand."""
    return Catalogue(tuple(item.upper() for item in items), (("food",),), ("b",))
