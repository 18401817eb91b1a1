"""What a request found out, step by step; the answer and `why` are told from it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from feature_store.vectors import Floats
from models.retrieval import Candidates
from serving.ask import Ask
from serving.catalogue import Card
from serving.features import Features
from serving.items import Live
from serving.ranking import Ranked
from serving.rules import Rules
from serving.selection import Page
from serving.steps import Steps


def new_impression() -> str:
    """16 random hex digits."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Pick:
    """One place of the list; `row` is its place among the candidates, None for a newcomer.

    `vector` is (columns,), None where ranked without.
    """

    card: Card
    score: float
    sources: tuple[str, ...]
    reason: str
    row: int | None = None
    vector: Floats | None = None


@dataclass(frozen=True)
class Situation:
    """Who asks for what, when, and what is known of them. `about`: items the page is about;
    `curated_at`: when the shop last changed its rules (ms)."""

    ask: Ask
    now: int
    features: Features
    live: Live | None
    about: tuple[str, ...]
    rules: Rules
    curated_at: int
    steps: Steps


@dataclass(frozen=True)
class Ranking:
    """All that the sources offered, and what of it may be shown.

    `cards` are those of the rows of `kept`; `best` is these rows, best first, before diversity.
    """

    offered: Candidates
    kept: Candidates
    cards: Mapping[int, Card]
    ranked: Ranked
    best: Sequence[int]


@dataclass(frozen=True)
class Outcome:
    """What came of a request; `ranking` is None without a bundle, and for a list kept before.

    Such a list, and one that was made for another request, names the impression it was first shown
    in (`made_as`): that one has the vectors.
    """

    situation: Situation
    ranking: Ranking | None
    page: Page
    picks: Sequence[Pick]
    lacking: tuple[str, ...]
    impression_id: str = field(default_factory=new_impression)
    made_as: str | None = None

    def for_another(self, situation: Situation) -> Outcome:
        """The same list for a request that asked for it at the same time.

        What stores it could not ask is its own; the vectors, of another moment, are not.
        """
        asked = self.situation.features.failed
        return replace(
            self,
            situation=situation,
            picks=[replace(pick, vector=None) for pick in self.picks],
            lacking=(*situation.features.failed, *(x for x in self.lacking if x not in asked)),
            impression_id=new_impression(),
            made_as=self.made_as or self.impression_id,
        )
