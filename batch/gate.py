"""The promotion gate: what is known of a bundle, and whether that makes it `@champion`.

Every rule looks at an interval over people on the same baskets, never at a bare difference: two
good nights differ by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from batch.canary import Canary
from batch.outcomes import SERVED, SLICES, Outcomes, as_json
from batch.rematch import Rival
from models.evaluation import Difference
from models.sources import SOURCES

#: Part of the rival's NDCG that may be lost at worst (the interval's lower end), over all baskets.
MOST_LOST: Final = 0.10
#: A loss whose interval lies wholly below zero is refused from this part on; less is noise of
#: refitting, not of the model.
SURELY_LOST: Final = 0.02
#: Slices and single sources are smaller and noisier: they must lose this part, for certain.
SLICE_LOST: Final = {**dict.fromkeys(SLICES, 0.15), **dict.fromkeys(SOURCES, 0.5)}
#: A gain on the champion above this is a leak until a person has looked: good ideas bring 5 %.
TOO_GOOD: Final = 0.25
#: More than this of one thing, and it is the only thing; fewer people than this prove nothing.
MOST_ALIKE, FEWEST = 0.5, 10
#: The part of the champion's people, pairs and items that a bundle must know.
LEAST_KNOWN: Final = 0.9


@dataclass(frozen=True)
class Evidence:
    """What the gate looks at; `skewed` are the served vectors that differ from the recount's.

    None of `outcomes`: there were no baskets; of `rival`: no champion; of `skewed`: not checked.
    """

    outcomes: Outcomes | None
    canary: Canary
    rival: Rival | None = None
    skewed: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a bundle may become `@champion`; `reasons` say why not, `notes` what to know.

    `against` is list or slice -> the paired difference to the champion on the same baskets.
    """

    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    against: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """No reason against it."""
        return not self.reasons


def judge(evidence: Evidence) -> Verdict:
    """Judges a bundle; a pure function, so that a stored night can be judged again."""
    reasons = list(evidence.canary.reasons)
    notes = ["no served vectors were compared with the log"] if evidence.skewed is None else []
    if evidence.skewed:
        reasons.append(f"{evidence.skewed} served vectors differ from what the log says")
    if evidence.outcomes is None:
        if evidence.rival:
            reasons.append("there are no new baskets to measure it on, and a champion serves")
        return Verdict(tuple(reasons), tuple(notes))
    reasons += [*_alone(evidence.outcomes)]
    rival = evidence.rival
    if rival is None:
        return Verdict(tuple(reasons), (*notes, "no champion to compare with"))
    if rival.outcomes is None:
        note = f"version {rival.version.version} was not tested tonight: {rival.why_not}"
        return Verdict((*reasons, *_known(evidence.canary, rival)), (*notes, note))
    against = compared(evidence.outcomes, rival.outcomes)
    found = [*_beside(against, rival), *_known(evidence.canary, rival)]
    return Verdict((*reasons, *found), tuple(notes), as_json(against))


def compared(ours: Outcomes, theirs: Outcomes) -> dict[str, Difference | None]:
    """Ours − theirs for every slice and source, on the baskets that neither has seen."""
    since = int(theirs.rows["moment"].min()) if len(theirs.rows) else 0
    both = ours.since(since)
    return {column: both.less(theirs, column) for column in (*SLICES, *SOURCES)}


def _alone(ours: Outcomes) -> Iterator[str]:
    """Against its own parts, and against what is possible."""
    means = {source: ours.mean(source) for source in SOURCES}
    best = max(means, key=lambda source: means[source])
    gap, mean = ours.gap(SERVED, best), ours.mean(SERVED)
    if gap.high < -SURELY_LOST * means[best]:
        yield (
            f"NDCG@{ours.k} {mean:.4f} is below {best} alone, {means[best]:.4f} "
            f"[{gap.low:+.4f}, {gap.high:+.4f}]"
        )
    if mean == 0:
        yield "not one basket has a right answer in its list"
    if ours.rows["flat"].mean() > MOST_ALIKE:
        yield "the ranker gives every candidate the same score"
    if _most_shown(ours) > MOST_ALIKE:
        yield "everybody gets the same list"
    impossible = int(ours.rows["impossible"].sum())
    if impossible:
        yield (
            f"own history offered {impossible} items before the person had touched them: "
            "the sources have seen the test (a leak)"
        )


def _most_shown(ours: Outcomes) -> float:
    """The share of one list among those for people who are known; 0 for too few of them."""
    known = ours.rows[ours.rows["warm"].notna()]
    if known["actor"].nunique() < FEWEST:
        return 0.0
    return float(known["shown"].map(tuple).value_counts(normalize=True).iloc[0])


def _beside(against: Mapping[str, Difference | None], rival: Rival) -> Iterator[str]:
    """Against the champion, on all baskets and on each slice."""
    assert rival.outcomes is not None
    name = f"version {rival.version.version}"
    for column, gap in against.items():
        theirs = rival.outcomes.mean(column)
        if gap is None or not theirs > 0:
            continue
        said = f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}] of {theirs:.4f}"
        if column == SERVED:
            yield from _overall(gap, theirs, name, said)
        elif gap.high < 0 and gap.mean < -SLICE_LOST[column] * theirs:
            what = SLICES.get(column, f"{column} alone")
            yield f"much worse than {name} on {what}: {said}"


def _overall(gap: Difference, theirs: float, name: str, said: str) -> Iterator[str]:
    if gap.high < 0 and gap.mean < -SURELY_LOST * theirs:
        yield f"worse than {name} on the same baskets: {said}"
    elif gap.low < -MOST_LOST * theirs and gap.mean < 0:
        yield f"perhaps much worse than {name}, too few baskets to tell: {said}"
    elif gap.low > TOO_GOOD * theirs:
        yield (
            f"too good to be true beside {name}: {said}. Look for a leak; if it is real, "
            "`millrace models promote`"
        )


def _known(canary: Canary, rival: Rival) -> Iterator[str]:
    """A log only grows, so a bundle that knows less has lost data."""
    for what, count in canary.knows.items():
        before = rival.version.metrics.get(f"knows_{what}", 0)
        if count < LEAST_KNOWN * before:
            yield (
                f"it knows {count} {what}, version {rival.version.version} knew {before:.0f}: "
                "data is missing"
            )
