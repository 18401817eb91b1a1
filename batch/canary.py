"""The canary: a bundle is loaded as serving would load it and asked for lists, before anybody else.

Whatever goes wrong is a reason against the bundle, never a crash of the night.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from feature_store.declaration import Declaration
from feature_store.stores.base import UserState
from models.bundle import Bundle, BundleRefused
from models.retrieval import Candidates, retrieve

#: How many known people are asked for, spread over all of them.
ASKED: Final = 20
NOBODY: Final = "nobody-ever-seen"
#: Fewer people than this share too much for their lists to be compared.
FEWEST: Final = 5
#: Candidates in the latency test, and how often they are ranked.
CANDIDATES, ROUNDS = 200, 20
#: CPU milliseconds that ranking 200 candidates may take: serving has 10 for a whole answer.
SLOWEST_MS: Final = 20.0
#: The share of what the measured bundle offers that the published one must offer too. One knows a
#: test period more than the other; factors that have nothing to do with each other share nothing.
LEAST_SHARED: Final = 0.05
#: The share of the measured bundle's people and pairs that the published one must know.
LEAST_KNOWN: Final = 0.95


@dataclass(frozen=True, slots=True)
class Canary:
    """What the bundle answered; `knows` counts items, people and pairs of them."""

    reasons: tuple[str, ...]
    knows: Mapping[str, int]
    latency_ms: float | None = None


def try_canary(path: Path, measured: Path, declaration: Declaration) -> Canary:
    """Tries the bundle at `path`; `measured` is the one whose figures speak for it."""
    try:
        bundle, twin = (Bundle.load(one, declaration) for one in (path, measured))
    except BundleRefused as refused:
        return Canary((f"the bundle does not load: {refused.reason}",), {})
    try:
        slow = latency_ms(bundle)
        reasons = [*_answers(bundle, declaration), *_same(bundle, twin)]
    except Exception as error:  # whatever breaks here would have broken in serving
        return Canary((f"the bundle does not answer: {error!r}",), knows(bundle))
    if slow is not None and slow > SLOWEST_MS:
        reasons.append(f"the ranker takes {slow:.1f} ms of CPU for {CANDIDATES} candidates")
    return Canary(tuple(reasons), knows(bundle), slow)


def knows(bundle: Bundle) -> dict[str, int]:
    """How much a bundle knows: a log that only grows makes bundles that only grow."""
    own = bundle.sources.own
    return {"items": len(bundle.item_ids), "people": len(own.row_of), "pairs": len(own.items)}


def latency_ms(bundle: Bundle) -> float | None:
    """CPU milliseconds for ranking `CANDIDATES`, the median of `ROUNDS`; None without a ranker."""
    if bundle.ranker is None:
        return None
    nothing = np.zeros((CANDIDATES, len(bundle.manifest.columns)), np.float32)
    spent = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        bundle.ranker.predict(nothing)
        spent.append(time.thread_time() - began)
    return float(np.median(spent)) * 1_000


def _answers(bundle: Bundle, declaration: Declaration) -> Iterator[str]:
    """What is wrong with its lists: nothing in them, or scores that are no numbers."""
    for actor in (*_people(bundle), NOBODY):
        found, scores = bundle.answer(declaration, UserState(actor), bundle.manifest.cut_ms)
        if not len(found.positions):
            yield f"asked for {actor}, the bundle offers nothing"
            return
        if not np.isfinite(scores).all():
            yield f"asked for {actor}, the ranker answers with NaN or infinity"
            return


def _same(bundle: Bundle, twin: Bundle) -> Iterator[str]:
    """Whether the bundle to publish is of the kind that was measured."""
    ours, theirs = knows(bundle), knows(twin)
    for what, count in theirs.items():
        if ours[what] < LEAST_KNOWN * count:
            yield f"the bundle knows {ours[what]} {what}, the one measured knew {count}"
    people = [actor for actor in _people(twin) if actor in bundle.sources.own.row_of]
    pairs = [(_offers(bundle, actor), _offers(twin, actor)) for actor in people]
    for column, source in enumerate(pairs[0][0].sources if pairs else ()):
        shared = [_shared(x, y, column, bundle, twin) for x, y in pairs]
        known = [share for share in shared if share is not None]
        if len(known) >= FEWEST and np.mean(known) < LEAST_SHARED:
            yield (
                f"{source} offers {np.mean(known):.0%} of what it offered when it was measured: "
                "this is another model"
            )


def _offers(bundle: Bundle, actor: str) -> Candidates:
    return retrieve(bundle.sources, UserState(actor), bundle.manifest.cut_ms)


def _shared(
    ours: Candidates, theirs: Candidates, column: int, a: Bundle, b: Bundle
) -> float | None:
    """The share of the measured bundle's offers that the published one makes too."""
    offers = [
        {bundle.item_ids[p] for p in found.positions[~np.isnan(found.scores[:, column])]}
        for found, bundle in ((ours, a), (theirs, b))
    ]
    return len(offers[0] & offers[1]) / len(offers[1]) if offers[1] else None


def _people(bundle: Bundle) -> list[str]:
    """Some of the people it knows, spread evenly."""
    known = list(bundle.sources.own.row_of)
    return known[:: max(1, len(known) // ASKED)][:ASKED]
