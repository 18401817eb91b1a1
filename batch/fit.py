"""The candidate sources, fitted at a cut: nothing in them knows of an event at or after it."""

from __future__ import annotations

import numpy as np
from pyspark.sql import SparkSession

from batch.history import History
from batch.item_windows import windows_at
from batch.recipe import Recipe
from batch.train_als import train
from feature_store.declaration import Declaration
from feature_store.vectors import ItemColumns
from models import content, covisitation, own, popularity, repeats, shelf, slim
from models.interactions import Floats, Interactions
from models.neighbours import Neighbours
from models.sources import Sources


def fit_content(history: History) -> Neighbours:
    """Content neighbours: they follow from descriptions alone, so one fit serves every cut."""
    return content.fit(history.items.texts, history.items.group)


def fit(
    spark: SparkSession,
    declaration: Declaration,
    history: History,
    similar: Neighbours,
    recipe: Recipe,
    cut_ms: int,
) -> Sources:
    """Fits every source on the events strictly before `cut_ms`."""
    items, log = history.items, history.log.before(cut_ms)
    count = len(items.ids)
    mine = own.fit(log, cut_ms, recipe.own_half_life_days)
    popular = popularity.fit(log, count, cut_ms, recipe.popularity_half_life_days)
    return Sources(
        cut_ms=cut_ms,
        item_ids=items.ids,
        index_of=items.index_of,
        columns=ItemColumns(
            windows_at(declaration, history, cut_ms),
            items.category,
            items.brand,
            prices(log, items.price_minor),
        ),
        als=train(spark, mine, count, recipe.als),
        own=mine,
        covisitation=covisitation.fit(log, count, cut_ms, recipe.covisitation_half_life_days),
        linear=slim.fit(slim.liked(mine, count), recipe.linear),
        content=similar,
        popularity=popular,
        shelf=shelf.fit(popular, items.category),
        repeats=repeats.fit(mine, items.category),
    )


def prices(log: Interactions, listed: Floats) -> Floats:
    """What each item last sold for, minor units; the listed price where it never sold."""
    order = np.argsort(log.time, kind="stable")
    sold = order[log.price_minor[order] > 0]
    last = listed.copy()
    last[log.item[sold]] = log.price_minor[sold]
    return last
