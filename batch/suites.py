"""What a night's data must look like: the checks of the data gate, with their limits and reasons.

The limits are round numbers well outside of what real days do (`batch/DECISIONS.md`): they are for
faults, not for holidays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import pi, sqrt
from statistics import median
from typing import Final

from batch.day_profile import DayProfile

#: A day is judged against these many before it.
RECENT_DAYS: Final = 28
#: With fewer days to compare with, nothing is said about drift.
FEWEST_DAYS: Final = 7
#: Nor with fewer people on an ordinary day: their whims look like faults.
FEWEST_ACTORS: Final = 50
WEEK: Final = 7
HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Check:
    """A number must lie within limits (None: no limit); `because` says what is wrong if not."""

    measure: str
    least: float | None
    most: float | None
    because: str


#: More invalid messages than this mean that a producer is broken, not that one was careless.
INVALID = Check("invalid_share", 0, 0.05, "a producer breaks the contract")
LOG: Final = (
    Check("messages", 1, None, "nothing was ever landed"),
    INVALID,
    Check("hours_since_newest", None, 26, "nothing came since the night before"),
)
ITEMS: Final = (
    INVALID,
    Check("untitled_share", 0, 0.2, "descriptions came without titles"),
    Check("deleted_share", 0, 0.2, "a large part of the catalogue was deleted"),
    Check("price_ratio", 0.5, 2, "prices are in another unit than before"),
)
PROFILES: Final = (
    INVALID,
    Check("deleted_share", 0, 0.2, "a large part of the users was erased"),
)
#: Shares (copies, unpriced, busiest …) are those of the day less the usual ones of recent days.
DAY: Final = (
    Check("events", 1, None, "the day is empty"),
    Check("volume", 0.6, 1.7, "events are missing or came twice: compare the same weekdays"),
    Check("actors", 0.5, 2, "people are missing, or were split or made up"),
    Check("copies", None, 0.1, "the day was sent twice"),
    # What people order by the clock repeats too, but never a whole day of it.
    Check("repeats", None, 0.8, "the day is another day with a new date"),
    Check("hour_shift", 0, 0, "the clock or its time zone moved, by so many hours"),
    Check("hour_mix", None, 0.25, "events are at other hours than on other days"),
    Check("type_mix", None, 0.2, "the types of events are mixed in another way"),
    Check("types_gone", 0, 0, "types of events that always come did not come"),
    Check("category_mix", None, 0.2, "the events are about other categories"),
    Check("price", 0.5, 2, "prices are in another unit, or of something else"),
    Check("quantity", 0.5, 2, "quantities are in another unit"),
    Check("bulk", None, 0.05, "quantities are in another unit"),
    Check("unpriced", None, 0.05, "purchases came without a price"),
    Check("no_country", None, 0.05, "events came without a country"),
    Check("no_device", None, 0.05, "events came without a device"),
    Check("unknown", None, 0.05, "events are about items that no catalogue message described"),
    Check("busiest_actor", None, 0.15, "one user makes a large part of the day: a robot"),
    Check("busiest_item", None, 0.15, "one item makes a large part of the day"),
)
#: How much more of the day must lie right when it is moved; real days reach 0.09 by one hour.
GAIN_OF_SHIFT: Final = 0.12
#: A type of event that makes less than this of recent days may be absent from one.
USUAL: Final = 0.01


def applicable(checks: Sequence[Check], measures: Mapping[str, float]) -> list[Check]:
    """The checks of which there is a number."""
    return [check for check in checks if check.measure in measures]


def judged(day: DayProfile, before: Sequence[DayProfile]) -> dict[str, float]:
    """The measures of `DAY`, of a day against those before it; of too few, next to nothing."""
    recent = [one for one in before if one.events]
    if len(recent) < FEWEST_DAYS or _usual(recent, "actors") < FEWEST_ACTORS:
        return {"events": day.events} if day.events else {}
    if not day.events:
        return {"events": 0.0}
    same = [one.events for one in recent if _weekday(one) == _weekday(day)]
    usual = median(same if len(same) > 1 else [one.events for one in recent])
    return {
        "events": day.events,
        "volume": day.events / usual,
        "actors": _ratio(day, recent, "actors"),
        "repeats": day.repeats,
        "hour_shift": _shift(day, recent),
        "types_gone": _gone(day, recent),
        **{f"{of}_mix": _distance(day, recent, of) for of in ("hour", "type", "category")},
        **{name: _ratio(day, recent, name) for name in ("price", "quantity")},
        **{name: _above(day, recent, name) for name in ("copies", "no_country", "no_device")},
        **{name: _above(day, recent, name, "purchases") for name in ("unpriced", "bulk")},
        "unknown": _above(day, recent, "unknown", "with_item"),
        **{f"busiest_{of}": _busier(day, recent, of) for of in ("actor", "item")},
    }


def _weekday(day: DayProfile) -> int:
    return date.fromisoformat(day.day).weekday()


def _usual(recent: Sequence[DayProfile], name: str) -> float:
    return median(one.totals.get(name, 0) for one in recent)


def _ratio(day: DayProfile, recent: Sequence[DayProfile], name: str) -> float:
    """A number over the median of recent days; 1 where there is none."""
    usual = _usual(recent, name)
    return day.totals.get(name, 0) / usual if usual and day.totals.get(name) else 1.0


def _above(
    day: DayProfile, recent: Sequence[DayProfile], part: str, whole: str = "events"
) -> float:
    """How far a share lies above the median of recent days."""
    return day.share(part, whole) - median(one.share(part, whole) for one in recent)


def _busier(day: DayProfile, recent: Sequence[DayProfile], of: str) -> float:
    return day.busiest(of) - median(one.busiest(of) for one in recent)


def _pooled(recent: Sequence[DayProfile], of: str) -> dict[str, float]:
    """Shares by name over all recent days."""
    events: dict[str, float] = {}
    for one in recent:
        for name, count in one.spread.get(of, {}).items():
            events[name] = events.get(name, 0) + count
    return _shares(events)


def _shares(events: Mapping[str, float]) -> dict[str, float]:
    whole = sum(events.values()) or 1
    return {name: count / whole for name, count in events.items()}


def _distance(day: DayProfile, recent: Sequence[DayProfile], of: str) -> float:
    """The share of events that is elsewhere than on recent days, beyond what chance does."""
    now, usual = _shares(day.spread.get(of, {})), _pooled(recent, of)
    if not now or not usual:
        return 0.0
    apart = sum(abs(now.get(n, 0) - usual.get(n, 0)) for n in now.keys() | usual.keys()) / 2
    return max(0.0, apart - _chance(usual, max(1, day.totals.get("actors", 0))))


def _chance(usual: Mapping[str, float], draws: float) -> float:
    """How far so many draws lie from what they are drawn from, on average.

    People are the draws, not events: the lines of one basket come at one hour.
    """
    return sum(sqrt(share * (1 - share) / (2 * pi * draws)) for share in usual.values())


def _gone(day: DayProfile, recent: Sequence[DayProfile]) -> float:
    usual, now = _pooled(recent, "type"), day.spread.get("type", {})
    return float(sum(share >= USUAL and kind not in now for kind, share in usual.items()))


def _shift(day: DayProfile, recent: Sequence[DayProfile]) -> float:
    """By how many hours the day must be moved to look like recent ones, if that helps a lot."""
    now, usual = _shares(day.spread.get("hour", {})), _pooled(recent, "hour")
    fits = {shift: _overlap(now, usual, shift) for shift in range(-11, 13)}
    best = max(fits, key=lambda shift: (fits[shift], -abs(shift)))
    return float(best) if fits[best] - fits[0] > GAIN_OF_SHIFT else 0.0


def _overlap(now: Mapping[str, float], usual: Mapping[str, float], shift: int) -> float:
    hours = ((str(hour), str((hour + shift) % HOURS)) for hour in range(HOURS))
    return sum(min(usual.get(hour, 0), now.get(moved, 0)) for hour, moved in hours)
