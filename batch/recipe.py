"""How the nightly makes a bundle: every number that was chosen rather than learned."""

from __future__ import annotations

from dataclasses import dataclass, field

from feature_store.tiles import DAY_MS
from models.als import Rule
from models.slim import LinearRule


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of one nightly; days are of event time."""

    als: Rule = field(default=Rule(rank=32, alpha=5.0, regularisation=0.05, iterations=4))
    own_half_life_days: float = 60.0
    covisitation_half_life_days: float = 60.0
    popularity_half_life_days: float = 14.0
    linear: LinearRule = field(default=LinearRule(most=8_000, near=100, ridge=5.0, k=50))
    #: Sources for the ranker are fitted this long before the end …
    train_days: float = 35.0
    #: … and again so often until its baskets end, at least so far apart: a served list is never
    #: older than a night.
    train_cuts: int = 2
    between_days: float = 7.0
    #: The last days, after the ranker's labels, are the test.
    test_days: float = 7.0
    #: The last share of the ranker's baskets decides when to stop adding trees.
    validation_share: float = 0.25
    #: At most so many baskets in each part, drawn with a fixed seed.
    train_baskets: int = 5_000
    train_shown: int = 1_000
    test_baskets: int = 2_500
    #: Fewer baskets than this teach a ranker nothing: sources are blended instead.
    fewest_baskets: int = 50
    k: int = 10

    @property
    def train_ms(self) -> int:
        """`train_days` in ms."""
        return int(self.train_days * DAY_MS)

    @property
    def between_ms(self) -> int:
        """`between_days` in ms."""
        return int(self.between_days * DAY_MS)

    @property
    def test_ms(self) -> int:
        """`test_days` in ms."""
        return int(self.test_days * DAY_MS)
