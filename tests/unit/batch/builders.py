"""Histories in a few lines."""

from __future__ import annotations

from itertools import count

import numpy as np

from batch.history import History
from feature_store.declaration import Entity, load
from feature_store.events import WEIGHTS, Interaction
from feature_store.vectors import ItemColumns, window_columns
from models import covisitation, own, popularity, repeats, shelf, slim
from models.als import Als, Rule
from models.neighbours import Neighbours
from models.slim import LinearRule
from models.sources import Sources
from tests.builders import NOON

DECLARATION = load("feature_store.features")
_ids = count()


def event(
    actor: str, item: str, at: int, kind: str = "purchase", quantity: int = 1, price: int = 100
) -> Interaction:
    """An interaction `at` ms after noon."""
    return Interaction(
        f"e{next(_ids):05d}", actor, item, kind, NOON + at, quantity, price, price * quantity,
        WEIGHTS[kind], None, "", "", "", "", 0,
    )  # fmt: skip


def history(*events: Interaction) -> History:
    """Of items without descriptions."""
    return History.build(events, {})


def sources(past: History, cut: int) -> Sources:
    """Sources that need no Spark: ALS knows nothing, no item reads like another."""
    known, items = past.log.before(cut), past.items
    number = len(items.ids)
    rule = Rule(2, 1.0, 0.1, 1)
    mine = own.fit(known, cut, 60.0)
    windows = np.zeros((number, len(window_columns(DECLARATION, Entity.ITEM))), np.float32)
    popular = popularity.fit(known, number, cut, 14.0)
    return Sources(
        cut,
        items.ids,
        items.index_of,
        ItemColumns(windows, items.category, items.brand, np.full(number, 100, np.float32)),
        Als.build(rule, np.zeros((number, 2), np.float32)),
        mine,
        covisitation.fit(known, number, cut, 60.0),
        slim.fit(slim.liked(mine, number), LinearRule(most=100, near=5, ridge=1.0, k=5)),
        Neighbours(np.full((number, 1), -1, np.int32), np.zeros((number, 1), np.float32)),
        popular,
        shelf.fit(popular, items.category),
        repeats.fit(mine, items.category),
    )
