"""The champion on tonight's baskets: what it would have shown the same people at the same moments.

Each version keeps the bundle its own figures were measured on: sources that end a test period
before its night. On tonight's test baskets that bundle has seen no answer, while the one that
serves has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from batch import training_set
from batch.learn import Teacher
from batch.lists import ranked
from batch.outcomes import Outcomes, outcomes
from models.bundle import Bundle, BundleRefused
from models.registry import Registry, Version


@dataclass(frozen=True)
class Rival:
    """The champion, and what it did with tonight's baskets; `why_not` says why nothing is known."""

    version: Version
    outcomes: Outcomes | None
    why_not: str = ""


def rematch(registry: Registry, teacher: Teacher, into: Path) -> Rival | None:
    """Tests the champion tonight; None when there is no champion.

    A champion that this declaration cannot load does not serve either: there is nothing to lose.
    """
    champion = registry.champion()
    if champion is None:
        return None
    path = registry.fetch_measured(champion, into)
    if path is None:
        return Rival(champion, None, "its night kept no bundle to test again")
    try:
        bundle = Bundle.load(path, teacher.declaration)
    except BundleRefused as refused:
        return Rival(champion, None, f"it does not load here: {refused.reason}")
    return Rival(champion, replay(teacher, bundle))


def replay(teacher: Teacher, bundle: Bundle) -> Outcomes:
    """Tonight's test baskets, answered by another night's bundle.

    Baskets before that bundle's cut are left out: it has seen them.
    """
    recipe, past = teacher.recipe, teacher.history.over(bundle.item_ids)
    asked = training_set.baskets(past, past.end - recipe.test_ms, past.end)
    sampled = training_set.sample(asked, recipe.test_baskets)
    unseen = [basket for basket in sampled if basket.moment >= bundle.sources.cut_ms]
    queries = training_set.build(teacher.declaration, past, bundle.sources, unseen)
    return outcomes(ranked(queries, bundle.ranker), past, recipe.k)
