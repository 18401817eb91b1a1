"""`explain=true`: what the sources and the ranker said of each item, and the time it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from feature_store.vectors import Floats
from models.retrieval import Candidates
from serving.answers import (
    ColumnEffect,
    DiversityCost,
    Explanation,
    ItemExplanation,
    Offer,
    RecommendedItem,
)
from serving.catalogue import Catalogue
from serving.outcome import Outcome, Ranking

#: How many columns are named for an item.
COLUMNS_TOLD: Final = 5


def explain_items(items: Sequence[RecommendedItem], outcome: Outcome) -> list[RecommendedItem]:
    """The items of a list, each with its explanation; newcomers were not ranked and have none."""
    ranking, told = outcome.ranking, []
    if ranking is None:
        return list(items)
    rows = [pick.row for pick in outcome.picks if pick.row is not None]
    effects = dict(zip(rows, effects_of(outcome, ranking, rows), strict=True))
    place = {row: rank for rank, row in enumerate(ranking.best, 1)}
    for item, pick in zip(items, outcome.picks, strict=True):
        if pick.row is None:
            told.append(item)
            continue
        said = ItemExplanation(
            rank=place[pick.row], offers=offers(ranking.kept, pick.row), columns=effects[pick.row]
        )
        told.append(item.model_copy(update={"explain": said}))
    return told


def explain_list(outcome: Outcome, catalogue: Catalogue) -> Explanation:
    """What happened to all the others, and how long each step took."""
    situation, ranking = outcome.situation, outcome.ranking
    if ranking is None or situation.live is None:
        return Explanation(steps_ms=situation.steps.ms, offered=0, allowed=0, left_out={})
    ids = situation.live.bundle.item_ids
    cards = [catalogue.get(ids[position]) for position in ranking.offered.positions]
    objections = [situation.rules.objection(card) for card in cards if card]
    return Explanation(
        steps_ms=situation.steps.ms,
        offered=len(cards),
        allowed=len(ranking.best),
        left_out=dict(Counter(said for said in objections if said).most_common()),
        diversity=_cost(outcome.page.rows, ranking) if situation.ask.diversity else None,
    )


def _cost(shown: Sequence[int], ranking: Ranking) -> DiversityCost:
    """How the list compares with the best rows, caps and pins apart, on scores from 0 up."""
    best = ranking.best[: len(shown)]
    scores = ranking.ranked.scores - ranking.ranked.scores.min(initial=0)
    most = float(scores[best].sum())
    kept = float(scores[list(shown)].sum()) / most if most else 1.0
    return DiversityCost(replaced=len(set(shown) - set(best)), score_kept=round(kept, 4))


def offers(found: Candidates, row: int) -> list[Offer]:
    """What each source that offered a candidate said of it: its rank there and its score."""
    said = []
    for column, source in enumerate(found.sources):
        score = float(found.scores[row, column])
        if np.isfinite(score):
            rank = 1 + int(np.count_nonzero(found.scores[:, column] > score))
            said.append(Offer(source=source, rank=rank, score=round(score, 6)))
    return said


def effects_of(outcome: Outcome, ranking: Ranking, rows: list[int]) -> list[list[ColumnEffect]]:
    """The columns that moved each row's score most; none where it was ordered without a ranker."""
    live, vectors = outcome.situation.live, ranking.ranked.vectors
    if live is None or live.bundle.ranker is None or vectors is None or not rows:
        return [[] for _ in rows]
    names = live.bundle.manifest.columns
    added = live.bundle.ranker.contributions(vectors[rows])
    return [
        _strongest(names, values, effects)
        for values, effects in zip(vectors[rows], added, strict=True)
    ]


def _strongest(names: Sequence[str], values: Floats, effects: Floats) -> list[ColumnEffect]:
    order = np.argsort(-np.abs(effects), kind="stable")[:COLUMNS_TOLD]
    return [
        ColumnEffect(
            column=names[place],
            value=float(values[place]) if np.isfinite(values[place]) else None,
            effect=round(float(effects[place]), 6),
        )
        for place in order
        if effects[place]
    ]
