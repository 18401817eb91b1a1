"""Steps two and three of a request: candidates from every source, less what the rules forbid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from feature_store.lookup import Places
from feature_store.stores.base import UserState
from models.bundle import Bundle
from models.interactions import Floats, Ints
from models.neighbours import Neighbours
from models.retrieval import TRENDING_WINDOW, Candidates, retrieve
from models.topk import top_of
from serving.ask import ANYTHING
from serving.catalogue import Card, Catalogue, Filter
from serving.rules import Rules
from serving.trending import Trending

#: How many popular items are tried when the sources offer too little that is allowed.
FILL: Final = 300
#: What an item that the page is about weighs as a seed: one view.
SEED_STRENGTH: Final = 0.1
#: How many items go with those that the page is about.
FITTING: Final = 100


def gather(
    bundle: Bundle, user: UserState, now: int, trending: Trending, wanted: Filter
) -> Candidates:
    """What the sources offer; a category or brand gets its popular items, and its trending list."""
    listed = trending.top(TRENDING_WINDOW, wanted.category)
    found = retrieve(bundle.sources, user, now, listed)
    inside = _within(bundle, wanted)
    return found if inside is None else widen(found, bundle, inside)


def fitting(found: Candidates, bundle: Bundle, about: Sequence[str]) -> tuple[Candidates, Ints]:
    """The candidates with the neighbours of the items a page is about, and who those are."""
    seeds = np.asarray([bundle.index_of[i] for i in about if i in bundle.index_of], np.int32)
    near = np.zeros(0, np.int32)
    sources = {"covisitation": bundle.sources.covisitation, "content": bundle.sources.content}
    for name, neighbours in sources.items():
        items, scores = _near(neighbours, seeds)
        found = _offer(found, name, items, scores)
        near = np.union1d(near, items).astype(np.int32)
    return found, near


def fitting_first(order: Ints, kept: Candidates, near: Ints) -> Ints:
    """The rows in order, those at the positions `near` (ascending) before all others."""
    if not len(near):
        return order
    fits = Places.of(kept.positions, near).there[order]
    return order[np.argsort(~fits, kind="stable")]


def allowed(
    found: Candidates, bundle: Bundle, catalogue: Catalogue, rules: Rules, limit: int
) -> Candidates:
    """The candidates that may be shown, filled up with popular ones to at least `limit`."""
    kept = _keep(found, bundle, catalogue, rules)
    if len(kept.positions) >= limit:
        return kept
    popular, _ = bundle.sources.popular
    return _keep(widen(kept, bundle, popular[:FILL]), bundle, catalogue, rules)


def newcomers(
    bundle: Bundle | None, trending: Trending, catalogue: Catalogue, rules: Rules
) -> list[Card]:
    """Allowed trending items that no bundle knows yet, best first."""
    listed = trending.top(TRENDING_WINDOW, rules.filter.category)
    unknown = (item for item, _ in listed if bundle is None or item not in bundle.index_of)
    cards = map(catalogue.get, unknown)
    return [card for card in cards if card and rules.allow(card)]


def widen(found: Candidates, bundle: Bundle, positions: Ints) -> Candidates:
    """The candidates and `positions`, which count as offered by the popular source."""
    added = np.setdiff1d(positions, found.positions).astype(np.int32)
    return _offer(found, "popular", added, np.asarray(bundle.sources.popularity[added]))


def _near(neighbours: Neighbours, seeds: Ints) -> tuple[Ints, Floats]:
    strengths = np.full(len(seeds), SEED_STRENGTH, np.float32)
    return neighbours.candidates(seeds, strengths, len(seeds), FITTING)


def _offer(found: Candidates, source: str, positions: Ints, scores: Floats) -> Candidates:
    """The candidates and what one more source offers; what it has offered already stays."""
    merged = np.union1d(found.positions, positions).astype(np.int32)
    table = np.full((len(merged), len(found.sources)), np.nan, np.float32)
    table[np.searchsorted(merged, found.positions)] = found.scores
    column = table[:, found.sources.index(source)]
    offered = np.full(len(merged), np.nan, np.float32)
    offered[np.searchsorted(merged, positions)] = scores
    column[:] = np.where(np.isnan(column), offered, column)
    return replace(found, positions=merged, scores=table)


def _keep(found: Candidates, bundle: Bundle, catalogue: Catalogue, rules: Rules) -> Candidates:
    positions = found.positions.tolist()
    if rules.plain:
        barred, gone = bundle.positions_of(rules.barred), catalogue.withdrawn_from(bundle)
        if barred.isdisjoint(positions) and gone.isdisjoint(positions):
            return found
        may = [position not in barred and position not in gone for position in positions]
    else:
        cards = map(catalogue.get, map(bundle.item_ids.__getitem__, positions))
        may = [bool(card and rules.allow(card)) for card in cards]
    mask = np.asarray(may, np.bool_)
    return found.where(mask)


def _within(bundle: Bundle, wanted: Filter) -> Ints | None:
    """The most popular items that fit a filter, as the bundle knows them; None without a filter."""
    if wanted == ANYTHING:
        return None
    columns, said = bundle.columns, bundle.catalogue
    fits = np.ones(len(bundle.item_ids), np.bool_)
    if wanted.category is not None:
        codes = [code for code, path in enumerate(said.categories) if wanted.category in path]
        fits &= np.isin(columns.category, codes)
    if wanted.brand is not None:
        codes = [code for code, brand in enumerate(said.brands) if brand == wanted.brand]
        fits &= np.isin(columns.brand, codes)
    if wanted.price_min is not None:
        fits &= columns.price_minor >= wanted.price_min * 100
    if wanted.price_max is not None:
        fits &= columns.price_minor <= wanted.price_max * 100
    inside = np.flatnonzero(fits).astype(np.int32)
    best, _ = top_of(inside, np.asarray(bundle.sources.popularity[inside]), FILL)
    return best
