"""Step four of a request: the learned order, or the blend of the sources when it is out."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from feature_store.declaration import Declaration
from feature_store.stores.base import UserState
from feature_store.vectors import Floats
from models.interactions import Ints
from models.retrieval import Candidates
from models.rows import rows
from serving.items import Live
from serving.logs import LOGGER
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)


@dataclass(frozen=True)
class Ranked:
    """Rows of the candidates, best first, and a score for every row (not in that order).

    `vectors` is (candidates, columns), None where they were ordered without the ranker.
    """

    order: Ints
    scores: Floats
    vectors: Floats | None
    degraded: tuple[str, ...] = ()


def rank(
    declaration: Declaration,
    live: Live,
    user: UserState,
    found: Candidates,
    now: int,
    telemetry: Telemetry,
) -> Ranked:
    """Orders candidates; a ranker that fails or says nothing finite costs its order, no more."""
    if live.bundle.ranker is None:
        return _blended(found)
    try:
        vectors = rows(declaration, live.bundle.sources, live.columns, user, found, now)
        scores = live.bundle.ranker.predict(vectors)
    except Exception:  # an order without the ranker is better than no answer
        log.exception("ranker failed")
        telemetry.failures.labels("ranker").inc()
        return _blended(found, "ranker")
    finite = np.isfinite(scores)
    telemetry.not_finite.inc(len(scores) - int(finite.sum()))
    if len(scores) and not finite.any():
        return _blended(found, "ranker")
    scores = np.where(finite, scores, np.min(scores, where=finite, initial=0.0))
    return Ranked(_best_first(scores), scores, vectors)


def _blended(found: Candidates, *degraded: str) -> Ranked:
    scores = found.blended()
    return Ranked(_best_first(scores), scores, None, degraded)


def _best_first(scores: Floats) -> Ints:
    return np.argsort(-scores, kind="stable").astype(np.int32)
