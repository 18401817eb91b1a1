"""What a feature declaration is: its parts, its checks, its fingerprint."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, reduce
from typing import get_args

from feature_store.aggregates import Aggregate
from feature_store.events import Interaction, InteractionType
from feature_store.tiles import Level, TileSet, Window


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
    aggregate: Aggregate
    windows: tuple[Window, ...]

    @property
    def sql(self) -> str:
        """The aggregate as ANSI SQL over the rows of one tile."""
        types = ", ".join(f"'{event_type}'" for event_type in self.events)
        return self.aggregate.sql(f"type IN ({types})")

    def column(self, window: Window) -> str:
        """The name of the feature's value in one window, e.g. `item_views_24h`."""
        return f"{self.entity}_{self.name}_{window.name}"

    def value(self, tiles: TileSet, window: Window, now: int) -> int:
        """The feature in the window that ends at `now`: the merge of the tiles it covers."""
        return reduce(self.aggregate.merge, tiles.within(self.name, window, now), 0)


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

    def of(self, entity: Entity) -> tuple[Feature, ...]:
        """The features of one entity, by name: the order in which tiles spell them."""
        mine = (feature for feature in self.features if feature.entity is entity)
        return tuple(sorted(mine, key=lambda feature: feature.name))

    def levels(self, entity: Entity) -> tuple[Level, ...]:
        """The tile levels that the entity's windows read, finest first."""
        used = {window.level for feature in self.of(entity) for window in feature.windows}
        return tuple(sorted(used, key=lambda level: level.ms))

    @cached_property
    def fingerprint(self) -> str:
        """A hash that changes whenever the meaning of a stored value or a column may change."""
        text = "\n".join(sorted(map(repr, self.features)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load(module: str) -> Declaration:
    """Imports the declaration that `MILLRACE_FEATURES` names."""
    try:
        features: Iterable[Feature] = importlib.import_module(module).FEATURES
    except (ImportError, AttributeError) as error:
        raise DeclarationError(
            f"MILLRACE_FEATURES={module}: {error}. "
            "Name an importable module with a tuple called FEATURES."
        ) from error
    return Declaration(tuple(features))


def _check(feature: Feature, seen: set[tuple[Entity, str]]) -> None:
    where = f"feature {feature.entity}.{feature.name}"
    if not feature.name.isidentifier():
        raise DeclarationError(f"{where}: use letters, digits and _ in the name.")
    if (feature.entity, feature.name) in seen:
        raise DeclarationError(f"{where}: declared twice; rename or remove one.")
    unknown = set(feature.events) - set(get_args(InteractionType))
    if unknown or not feature.events:
        raise DeclarationError(
            f"{where}: events {sorted(unknown)}; use {', '.join(get_args(InteractionType))}."
        )
    for window in feature.windows:
        if window.ms + window.level.ms > window.level.span_ms:
            raise DeclarationError(
                f"{where}: window {window.name} is longer than its level keeps; use a wider level."
            )
    if not feature.windows:
        raise DeclarationError(f"{where}: name at least one window.")
