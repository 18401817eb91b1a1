"""Tiles: partial aggregates on a ladder of levels, and how a window is read from them.

A tile holds what happened to one entity between `start` and `start + level`. It is written with
its absolute value and a version, and kept in a ring, so nothing grows for ever. The rules are in
`docs/semantics.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

#: What a feature adds up to in one tile: a number, or a sketch.
Total = int | list[int]
#: The start of a tile, and its totals by feature.
Dated = tuple[int, Mapping[str, Any]]

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Level:
    """One width of tiles, and how many of the newest a store keeps."""

    code: str
    ms: int
    slots: int

    @property
    def span_ms(self) -> int:
        """An event older than this when it arrives no longer counts at this level."""
        return (self.slots - 1) * self.ms

    @property
    def kept_ms(self) -> int:
        """How long the kept store keeps a tile after it was written."""
        return 2 * self.slots * self.ms

    def start(self, moment: int) -> int:
        """The start of the tile that holds `moment`."""
        return moment - moment % self.ms

    def address(self, start: int) -> int:
        """Where a store that keeps every tile keeps this one; a level of one slot has one place."""
        return start if self.slots > 1 else 0

    def slot(self, start: int) -> str:
        """The ring field of a tile, e.g. `h07`."""
        return f"{self.code}{start // self.ms % self.slots:02d}"


MINUTE: Final = Level("m", MINUTE_MS, 72)
HOUR: Final = Level("h", HOUR_MS, 32)
DAY: Final = Level("d", DAY_MS, 64)
#: Not a width: everything before a day D, in one slot. Its tile's start is D, so a later base wins.
BASE: Final = Level("b", DAY.slots * DAY_MS, 1)
#: What an event is folded into as it comes, and all that a store keeps.
FOLDED: Final = (MINUTE, HOUR, DAY)
LEVELS: Final = (*FOLDED, BASE)
LEVEL_OF_MS: Final = {level.ms: level for level in LEVELS}
LEVEL_OF_CODE: Final = {level.code: level for level in LEVELS}


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window, read from one level: [start of the tile at `now - ms`, now].

    With a `half_life_ms`, what a tile holds is halved as often as that has passed since. One
    `from_base` reaches back for ever: the base, and the tiles that the base does not hold yet.
    """

    name: str
    ms: int
    level: Level
    half_life_ms: int = 0
    from_base: bool = False

    def oldest(self, now: int) -> int:
        """The start of the oldest tile that the window includes whole."""
        return self.level.start(now - self.ms)

    def left(self, start: int, now: int) -> float:
        """How much of a tile counts at `now`: its age is taken in whole tiles."""
        age = self.level.start(now) - start
        return 0.5 ** (age / self.half_life_ms) if self.half_life_ms else 1.0


MINUTES_5: Final = Window("5m", 5 * MINUTE_MS, MINUTE)
HOUR_1: Final = Window("1h", HOUR_MS, MINUTE)
DAY_1: Final = Window("24h", DAY_MS, HOUR)
DAYS_7: Final = Window("7d", 7 * DAY_MS, DAY)
DAYS_28: Final = Window("28d", 28 * DAY_MS, DAY)
#: Four weeks in which a week halves.
DECAYED: Final = Window("decayed", 28 * DAY_MS, DAY, half_life_ms=7 * DAY_MS)
#: All the days that the ring may hold, and the base before them.
LIFETIME: Final = Window("lifetime", DAY.span_ms - DAY_MS, DAY, from_base=True)
WINDOWS: Final = (MINUTES_5, HOUR_1, DAY_1, DAYS_7, DAYS_28, DECAYED, LIFETIME)


#: A tile's sequence has room for this many generations of a job below each count of events.
GENERATIONS: Final = 1000


def replay_since(now: int, horizon_ms: int) -> int:
    """A day boundary at least H back: where a job without a checkpoint starts reading."""
    return DAY.start(now - horizon_ms)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """What decides which of two writes is newer: compared field by field.

    For a tile: (start, epoch, events applied and generation). For a record: (append time, epoch,
    offset).
    """

    moment: int
    epoch: int
    sequence: int

    @classmethod
    def of_tile(cls, start: int, epoch: int, applied: int, generation: int = 0) -> Version:
        """The version of a tile into which a job of this generation has applied so many events.

        The generation counts least: a job that folds the log anew, for another declaration, loses
        while it has applied fewer events and wins as soon as it has applied as many.
        """
        return cls(start, epoch, applied * GENERATIONS + generation)

    @property
    def applied(self) -> int:
        """Of a tile: how many events it holds, whichever generation folded them."""
        return self.sequence // GENERATIONS

    @property
    def generation(self) -> int:
        """Of a tile: of the job that folded it."""
        return self.sequence % GENERATIONS

    def encode(self) -> str:
        """Fixed width, so that text order is version order (the stores compare prefixes)."""
        return f"{self.moment:015d}:{self.epoch:05d}:{self.sequence:012d}:"

    @classmethod
    def decode(cls, value: str) -> Version:
        """The version at the front of a stored value."""
        return cls(int(value[:15]), int(value[16:21]), int(value[22:34]))


VERSION_WIDTH: Final = len(Version(0, 0, 0).encode())


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of one entity; `body` is compact JSON: feature name -> its total, unless zero."""

    entity: str
    entity_id: str
    level: Level
    version: Version
    body: str

    @property
    def start(self) -> int:
        """First millisecond of the tile."""
        return self.version.moment

    def encode(self) -> str:
        """The value as a store keeps it."""
        return self.version.encode() + self.body

    @classmethod
    def decode(cls, entity: str, entity_id: str, field: str, value: str) -> Tile:
        """A tile from its ring field and stored value."""
        version = Version.decode(value)
        return cls(entity, entity_id, LEVEL_OF_CODE[field[0]], version, value[VERSION_WIDTH:])


def encode_body(values: Mapping[str, Total]) -> str:
    """The one spelling of a tile's values: names in order, zeros left out."""
    kept = {name: value for name, value in sorted(values.items()) if value}
    return orjson.dumps(kept).decode()


class TileSet:
    """The tiles of one entity, ready to be read as windows; `ValueError` for what is no tile."""

    __slots__ = ("_levels",)

    def __init__(self, tiles: Iterable[tuple[Level, int, Mapping[str, Total]]] = ()) -> None:
        self._levels: dict[str, list[tuple[int, Mapping[str, Total]]]] = {}
        for level, start, values in tiles:
            if not isinstance(values, dict):
                raise ValueError(f"no totals of a tile: {values!r:.200}")
            self._levels.setdefault(level.code, []).append((start, values))

    @classmethod
    def from_ring(cls, fields: Mapping[str, str]) -> TileSet:
        """From the ring fields of a store: `{"d03": "<version><body>", …}`."""
        return cls(
            (LEVEL_OF_CODE[field[0]], int(value[:15]), orjson.loads(value[VERSION_WIDTH:]))
            for field, value in fields.items()
        )

    def over(self, older: TileSet) -> TileSet:
        """These tiles, and those of another set that are missing here; one base, the later."""
        merged = {(code, start): values for code, start, values in older._all()}
        merged |= {(code, start): values for code, start, values in self._all()}
        bases = [start for code, start in merged if code == BASE.code]
        return TileSet(
            (LEVEL_OF_CODE[code], start, values)
            for (code, start), values in merged.items()
            if code != BASE.code or start == max(bases)
        )

    def _all(self) -> Iterator[tuple[str, int, Mapping[str, Total]]]:
        for code, tiles in self._levels.items():
            yield from ((code, start, values) for start, values in tiles)

    def within(self, feature: str, window: Window, now: int) -> Iterator[Any]:
        """The feature's total in each tile that the window ending at `now` covers."""
        return (totals[feature] for _, totals in self.covered(window, now) if feature in totals)

    def covered(self, window: Window, now: int) -> Iterator[Dated]:
        """The tiles that the window ending at `now` covers: (start, totals by feature)."""
        oldest = window.oldest(now)
        if window.from_base:
            bases = self._levels.get(BASE.code, [])
            yield from bases
            oldest = max((until for until, _ in bases), default=0)
        for start, values in self._levels.get(window.level.code, ()):
            if oldest <= start <= now:
                yield start, values
