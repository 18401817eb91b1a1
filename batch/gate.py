"""The promotion gate: `@champion` moves only when quality and the bundle itself are in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batch.measure import Measures
from feature_store.declaration import Declaration
from feature_store.stores.base import UserState
from models.bundle import Bundle, BundleRefused
from models.retrieval import retrieve
from models.rows import rows

#: How far below its rivals a bundle may measure: nights differ by about this much (NDCG).
TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a bundle may become `@champion`; `reasons` say why not."""

    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """No reason against it."""
        return not self.reasons


def judge(
    measures: Measures | None, champion: Mapping[str, float] | None, canary: str | None
) -> Verdict:
    """Judges a bundle by its measures, the champion's metrics, and what the canary said."""
    reasons = [canary] if canary else []
    if measures is None:
        if champion is not None:
            reasons.append("there are no new baskets to measure it on, and a champion serves")
        return Verdict(tuple(reasons))
    served = measures.ndcg["served"]
    single = measures.ndcg[measures.best_single]
    if served < single - TOLERANCE:
        reasons.append(
            f"NDCG@{measures.k} {served:.4f} is below {measures.best_single} alone, {single:.4f}"
        )
    before = (champion or {}).get("ndcg_served")
    if before is not None and served < before - TOLERANCE:
        reasons.append(f"NDCG@{measures.k} {served:.4f} is below the champion's {before:.4f}")
    return Verdict(tuple(reasons))


def try_canary(path: Path, declaration: Declaration) -> str | None:
    """Loads a bundle as serving would and asks it for lists; returns what is wrong, or None."""
    try:
        bundle = Bundle.load(path, declaration)
    except BundleRefused as refused:
        return f"the bundle does not load: {refused.reason}"
    known = next(iter(bundle.sources.own.row_of), None)
    for actor in filter(None, (known, "nobody-ever-seen")):
        complaint = _ask(bundle, declaration, UserState(actor))
        if complaint:
            return f"asked for {actor}, {complaint}"
    return None


def _ask(bundle: Bundle, declaration: Declaration, user: UserState) -> str | None:
    now = bundle.manifest.cut_ms
    found = retrieve(bundle.sources, user, now)
    if not len(found.positions):
        return "the bundle offers nothing"
    matrix = rows(declaration, bundle.sources, bundle.columns, user, found, now)
    scores = bundle.ranker.predict(matrix) if bundle.ranker else found.blended()
    return None if np.isfinite(scores).all() else "the ranker answers with NaN"
