"""What a feature declaration is: its parts, its checks, its fingerprint."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Any, Final, get_args

from feature_store.aggregates import HASHES, MEASURES, Aggregate, Dialect, Distinct, Sum
from feature_store.events import Interaction, InteractionType
from feature_store.tiles import FOLDED, Dated, Level, TileSet, Window

TYPES: Final = get_args(InteractionType)
#: The types that name no item.
WITHOUT_ITEM: Final = {"search"}
#: What the aggregates with a measure can read.
MEASURED: Final = {Sum: MEASURES, Distinct: tuple(HASHES)}


class Entity(StrEnum):
    """What a feature is about."""

    USER = "user"
    ITEM = "item"

    def id_of(self, event: Interaction) -> str:
        """The entity's id in an event; empty where the event has none."""
        return event.actor if self is Entity.USER else event.item_id

    @property
    def id_column(self) -> str:
        """The column of a decoded interaction that holds the entity's id."""
        return "actor" if self is Entity.USER else "item_id"


@dataclass(frozen=True, slots=True)
class Feature:
    """One windowed aggregate of one entity over some types of events."""

    name: str
    entity: Entity
    events: tuple[str, ...]
    aggregate: Aggregate[Any]
    windows: tuple[Window, ...]

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels whose tiles hold the feature: those that its windows read, finest first."""
        return _finest_first(window.level for window in self.windows)

    def sql(self, dialect: Dialect) -> str:
        """The aggregate as SQL over the rows of one tile, whose width is the column `ms`."""
        types = ", ".join(f"'{event_type}'" for event_type in self.events)
        widths = ", ".join(str(level.ms) for level in self.levels)
        return self.aggregate.sql(f"type IN ({types}) AND ms IN ({widths})", dialect)

    def add(self, totals: dict[str, Any], event: Interaction) -> None:
        """Folds an event into the totals of a tile, if the feature reads its type."""
        if event.type in self.events:
            total = totals.get(self.name, self.aggregate.zero)
            totals[self.name] = self.aggregate.add(total, event)

    def column(self, window: Window) -> str:
        """The name of the feature's value in one window, e.g. `item_views_24h`."""
        return f"{self.entity}_{self.name}_{window.name}"

    def value(self, tiles: TileSet, window: Window, now: int) -> float:
        """The feature in the window that ends at `now`: the merge of the tiles it covers."""
        return self.merged(tiles.covered(window, now), window, now)

    def merged(self, covered: Iterable[Dated], window: Window, now: int) -> float:
        """The same of tiles that the window covers: several features share them."""
        name = self.name
        if window.half_life_ms:
            held = ((start, totals[name]) for start, totals in covered if name in totals)
            return float(sum(total * window.left(start, now) for start, total in held))
        total = self.aggregate.merged([totals[name] for _, totals in covered if name in totals])
        value: float = self.aggregate.value(total)
        return value


@dataclass(frozen=True, slots=True)
class Reading:
    """How an entity's tiles become columns: the windows, each once, and for each column its name,
    its feature and the number of its window.
    """

    windows: tuple[Window, ...]
    names: tuple[str, ...]
    columns: tuple[tuple[Feature, int], ...]

    @classmethod
    def of(cls, features: Sequence[Feature]) -> Reading:
        """The columns of these features, in order."""
        windows = tuple(dict.fromkeys(w for feature in features for w in feature.windows))
        pairs = [(feature, window) for feature in features for window in feature.windows]
        return cls(
            windows,
            tuple(feature.column(window) for feature, window in pairs),
            tuple((feature, windows.index(window)) for feature, window in pairs),
        )


class DeclarationError(ValueError):
    """A declaration that cannot be compiled; the message says what to change."""


@dataclass(frozen=True)
class Declaration:
    """A checked set of features."""

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        seen: set[tuple[Entity, str]] = set()
        for feature in self.features:
            _check(feature, seen)
            seen.add((feature.entity, feature.name))

    def of(self, entity: Entity, level: Level | None = None) -> tuple[Feature, ...]:
        """The features of one entity, by name: the order in which tiles spell them.

        With a level, those that its tiles hold.
        """
        if (entity, level) not in self._listed:
            mine = (f for f in self.features if f.entity is entity and level in (None, *f.levels))
            self._listed[entity, level] = tuple(sorted(mine, key=lambda feature: feature.name))
        return self._listed[entity, level]

    @cached_property
    def _listed(self) -> dict[tuple[Entity, Level | None], tuple[Feature, ...]]:
        """What `of` was asked for: every request asks again."""
        return {}

    @cached_property
    def readings(self) -> Mapping[Entity, Reading]:
        """How the windows of each entity are read: every request asks."""
        return {entity: Reading.of(self.of(entity)) for entity in Entity}

    def find(self, entity: Entity, name: str) -> Feature | None:
        """The feature of that name, if it is declared."""
        return next((f for f in self.of(entity) if f.name == name), None)

    def levels(self, entity: Entity) -> tuple[Level, ...]:
        """The tile levels that the entity's windows read, finest first."""
        return _finest_first(level for feature in self.of(entity) for level in feature.levels)

    def lifelong(self, entity: Entity) -> tuple[Feature, ...]:
        """The features of the entity that a base must hold."""
        return tuple(f for f in self.of(entity) if any(w.from_base for w in f.windows))

    @cached_property
    def fingerprint(self) -> str:
        """A hash that changes whenever the meaning of a stored value or a column may change."""
        text = "\n".join(sorted(map(repr, self.features)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load(module: str) -> Declaration:
    """Imports the declaration that `MILLRACE_FEATURES` names."""
    try:
        features: Iterable[Feature] = tuple(importlib.import_module(module).FEATURES)
    except (ImportError, AttributeError, TypeError) as error:
        raise DeclarationError(
            f"MILLRACE_FEATURES={module}: {error}. "
            "Name an importable module with a tuple called FEATURES."
        ) from error
    return Declaration(tuple(features))


def _finest_first(levels: Iterable[Level]) -> tuple[Level, ...]:
    return tuple(sorted(set(levels), key=lambda level: level.ms))


def _check(feature: Feature, seen: set[tuple[Entity, str]]) -> None:
    """Raises `DeclarationError` with the first complaint."""
    if not isinstance(feature, Feature):
        raise DeclarationError(f"{feature!r} in FEATURES: write Feature(name, entity, …).")
    where = f"feature {feature.entity}.{feature.name}"
    if (feature.entity, feature.name) in seen:
        raise DeclarationError(f"{where}: declared twice; rename or remove one.")
    about = (_about_names, _about_aggregate, _about_windows)
    for complaint in chain.from_iterable(ask(feature) for ask in about):
        raise DeclarationError(f"{where}: {complaint}")


def _about_names(feature: Feature) -> Iterator[str]:
    """What is wrong with the name, the entity or the events, and what to write instead."""
    if not feature.name.isidentifier():
        yield "use letters, digits and _ in the name."
    if not isinstance(feature.entity, Entity):
        yield f"entity {feature.entity!r}; write Entity.USER or Entity.ITEM."
    if not isinstance(feature.events, tuple):
        yield f'events {feature.events!r}; write a tuple: ("view",), with the comma.'
        return
    if not feature.events or set(feature.events) - set(TYPES):
        unknown = sorted(set(feature.events) - set(TYPES))
        yield f"events {unknown}; use {', '.join(TYPES)}."
    if feature.entity is Entity.ITEM and set(feature.events) <= WITHOUT_ITEM:
        yield "a search names no item; make it a feature of the user."


def _about_aggregate(feature: Feature) -> Iterator[str]:
    """What is wrong with the aggregate or its measure, and what to write instead."""
    aggregate = feature.aggregate
    if isinstance(aggregate, type) or not hasattr(aggregate, "merged"):
        yield f"aggregate {aggregate!r}; write Count(), Sum(…) or Distinct(…), with the brackets."
    known = MEASURED.get(type(aggregate), (*MEASURES, *HASHES))
    if (measure := getattr(aggregate, "measure", known[0])) not in known:
        yield f"measure {measure!r}; sum {', '.join(MEASURES)}, or tell apart {', '.join(HASHES)}."
    if (size := getattr(aggregate, "size", 2)) < 2:
        yield f"size {size}; an estimate needs two hashes at least, 32 err by 18 %."


def _about_windows(feature: Feature) -> Iterator[str]:
    """What is wrong with the windows, and what to write instead."""
    windows = feature.windows
    if not isinstance(windows, tuple) or not all(isinstance(w, Window) for w in windows):
        yield f"windows {windows!r}; write a tuple of windows: (DAY_1,), with the comma."
        return
    if not windows:
        yield "name at least one window."
    if len({window.name for window in windows}) < len(windows):
        yield "two windows of one name would fill one column; keep one of them."
    for window in windows:
        yield from _about_window(feature, window)


def _about_window(feature: Feature, window: Window) -> Iterator[str]:
    if window.level not in FOLDED:
        yield f"window {window.name} reads no level that is folded; use MINUTE, HOUR or DAY."
    if window.ms + window.level.ms > window.level.span_ms:
        yield f"window {window.name} is longer than its level keeps; use a wider level."
    if window.half_life_ms and not feature.aggregate.decays:
        kind = type(feature.aggregate).__name__
        yield f"{kind} cannot fade in window {window.name}; use Count or Sum, or another window."
