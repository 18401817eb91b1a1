"""Steps two and three of a request: candidates from every source, less what the rules forbid."""

from __future__ import annotations

import numpy as np

from feature_store.stores.base import UserState
from models.bundle import Bundle
from models.interactions import Ints
from models.retrieval import TRENDING_WINDOW, Candidates, retrieve
from models.topk import top_of
from serving.catalogue import Card, Catalogue
from serving.rules import Rules
from serving.trending import Trending

#: How many popular items are tried when the sources offer too little that is allowed.
FILL = 300


def gather(
    bundle: Bundle, user: UserState, now: int, trending: Trending, category: str | None
) -> Candidates:
    """What the sources offer; a category gets its own trending list and its popular items."""
    listed = trending.top(TRENDING_WINDOW, category)
    found = retrieve(bundle.sources, user, now, listed)
    return found if category is None else widen(found, bundle, _within(bundle, category))


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
    listed = trending.top(TRENDING_WINDOW, rules.category)
    unknown = (item for item, _ in listed if bundle is None or item not in bundle.index_of)
    cards = map(catalogue.get, unknown)
    return [card for card in cards if card and rules.allow(card)]


def widen(found: Candidates, bundle: Bundle, positions: Ints) -> Candidates:
    """The candidates and `positions`, which count as offered by the popular source."""
    added = np.setdiff1d(positions, found.positions).astype(np.int32)
    scores = np.full((len(added), len(found.sources)), np.nan, np.float32)
    scores[:, found.sources.index("popular")] = bundle.sources.popularity[added]
    merged = np.concatenate([found.positions, added])
    order = np.argsort(merged)
    return Candidates(merged[order], np.concatenate([found.scores, scores])[order], found.sources)


def _keep(found: Candidates, bundle: Bundle, catalogue: Catalogue, rules: Rules) -> Candidates:
    cards = (catalogue.get(bundle.item_ids[position]) for position in found.positions)
    mask = np.fromiter((bool(card and rules.allow(card)) for card in cards), dtype=np.bool_)
    return Candidates(found.positions[mask], found.scores[mask], found.sources)


def _within(bundle: Bundle, category: str) -> Ints:
    """The most popular items of a category, at any level of its path."""
    paths = bundle.catalogue.categories
    codes = [code for code, path in enumerate(paths) if category in path]
    inside = np.flatnonzero(np.isin(bundle.columns.category, codes)).astype(np.int32)
    best, _ = top_of(inside, np.asarray(bundle.sources.popularity[inside]), FILL)
    return best
