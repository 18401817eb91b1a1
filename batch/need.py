"""Whether tonight needs a new model: `millrace nightly --if-needed` learns or skips by these rules.

Landing, checking and recounting happen every night; learning is what may be skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from feature_store.tiles import DAY_MS

#: So much more of the log is news.
NEWS: Final = 0.02
#: A model older than this is made again if there is anything new at all.
OLDEST_MS: Final = 7 * DAY_MS
#: The part of what people do that may move to other categories: the last week beside four before.
MOST_DRIFT: Final = 0.15


@dataclass(frozen=True, slots=True)
class Learned:
    """What a night learned from: `rows` interactions, `made_by` recipe, declaration and code."""

    at: int
    rows: int
    made_by: str

    @classmethod
    def of(cls, said: dict[str, Any] | None) -> Learned | None:
        """From its JSON."""
        return cls(**said) if said else None

    def said(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Need:
    """Whether to learn, and why or why not."""

    learn: bool
    why: str


def need(
    last: Learned | None, tonight: Learned, champion: bool, drift: Callable[[], float]
) -> Need:
    """The first rule that asks for a model; `drift` is a share in [0, 1], asked for last."""
    if not champion:
        return Need(True, "there is no champion")
    if last is None:
        return Need(True, "no night on this lake has learned anything yet")
    news, days = tonight.rows / max(last.rows, 1) - 1, (tonight.at - last.at) / DAY_MS
    said = f"{news:.1%} more interactions in {days:.1f} days"
    if last.made_by != tonight.made_by:
        return Need(True, "the recipe, the declaration or the code has changed")
    if news >= NEWS or (news > 0 and days * DAY_MS >= OLDEST_MS):
        return Need(True, said)
    moved = drift()
    return Need(moved >= MOST_DRIFT, f"{said}, {moved:.0%} of what people do has moved")
