"""Why an item is, or is not, in somebody's list: told from what the request found out."""

from __future__ import annotations

import numpy as np

from models.retrieval import Candidates
from serving.answers import WhyAnswer
from serving.catalogue import Catalogue
from serving.explain import effects_of, offers
from serving.outcome import Outcome


def why(outcome: Outcome, item_id: str, catalogue: Catalogue) -> WhyAnswer:
    """The first thing that settled the item's fate, in words, with the figures behind it."""
    situation, ranking = outcome.situation, outcome.ranking
    card = catalogue.get(item_id)
    place = _place(outcome, item_id)
    row = _row(outcome, item_id, ranking.kept) if ranking else None
    rank = ranking.best.index(row) + 1 if ranking and row is not None else None
    offered = _row(outcome, item_id, ranking.offered) if ranking else None
    if place is not None:
        reason = outcome.picks[place].reason
    elif card is None:
        reason = "nobody has described such an item"
    elif said := situation.rules.objection(card):
        reason = said
    else:
        reason = _unseen(outcome, item_id, rank)
    return WhyAnswer(
        user_id=situation.ask.actor or None,
        item_id=item_id,
        title=card.title if card else None,
        shown=place is not None,
        place=None if place is None else place + 1,
        rank=rank,
        reason=reason,
        offers=offers(ranking.offered, offered) if ranking and offered is not None else [],
        columns=effects_of(outcome, ranking, [row])[0] if ranking and row is not None else [],
        bundle=situation.live.bundle.id if situation.live else None,
        features_from=situation.features.store or None,
        generated_at=situation.now,
        degraded=list(outcome.lacking),
    )


def _unseen(outcome: Outcome, item_id: str, rank: int | None) -> str:
    """Why an item that the rules allow has no place on this page."""
    live, ask = outcome.situation.live, outcome.situation.ask
    if item_id in outcome.page.skipped:
        return f"{'' if rank is None else f'ranked {rank}: '}an earlier page has it"
    if live is None:
        return "no bundle serves, and it has none of the places of what sells or trends"
    if item_id not in live.bundle.index_of:
        return "no bundle knows it yet, and it has none of the few places of what trends"
    if rank is None:
        return "no source offered it"
    if rank <= ask.limit * ask.page:
        return f"ranked {rank}: it gave way to other kinds of items, or to what the shop picked"
    return f"ranked {rank}: the list ends before it"


def _place(outcome: Outcome, item_id: str) -> int | None:
    ids = [pick.card.item_id for pick in outcome.picks]
    return ids.index(item_id) if item_id in ids else None


def _row(outcome: Outcome, item_id: str, found: Candidates) -> int | None:
    live = outcome.situation.live
    position = live.bundle.index_of.get(item_id) if live else None
    if position is None:
        return None
    rows = np.flatnonzero(found.positions == position)
    return int(rows[0]) if len(rows) else None
