"""The plain-Python engine: what the declaration means, folded one event at a time.

Slow and obvious on purpose: Flink and Spark are checked against it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from feature_store.declaration import Declaration, Entity
from feature_store.events import Interaction, InvalidEvent, decode_interaction
from feature_store.tiles import Level, Tile, Total, Version, encode_body


@dataclass(frozen=True, slots=True)
class Message:
    """One message of `user-interactions` as the log has it."""

    partition: int
    offset: int
    append_time: int
    value: bytes | None


@dataclass
class Fold:
    """The state after some messages: every tile, and what became of every message."""

    declaration: Declaration
    horizon_ms: int
    epoch: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    dead_letters: list[tuple[Message, str]] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _tiles: dict[tuple[Entity, str, Level, int], dict[str, Total]] = field(default_factory=dict)
    _applied: Counter[tuple[Entity, str, Level, int]] = field(default_factory=Counter)

    def add(self, message: Message) -> Interaction | None:
        """Applies one message; returns the interaction if it counted."""
        event = decode_interaction(message.value, message.append_time)
        fate = self._fate(event, message)
        self.counts["sent"] += 1
        self.counts[fate] += 1
        if isinstance(event, InvalidEvent):
            self.dead_letters.append((message, event.reason))
            return None
        if fate != "applied":
            return None
        self._apply(event, message.append_time)
        return event

    def tiles(self) -> Iterable[Tile]:
        """Every tile folded so far."""
        for (entity, key, level, start), values in self._tiles.items():
            applied = self._applied[entity, key, level, start]
            version = Version.of_tile(start, self.epoch, applied)
            yield Tile(entity, key, level, version, encode_body(values))

    def _fate(self, event: Interaction | InvalidEvent, message: Message) -> str:
        if isinstance(event, InvalidEvent):
            return "dead_lettered"
        if message.append_time - event.event_time > self.horizon_ms:
            return "late"
        identity = (event.actor, event.event_id)
        if identity in self._seen:
            return "duplicates"
        self._seen.add(identity)
        return "applied"

    def _apply(self, event: Interaction, append_time: int) -> None:
        for entity in Entity:
            key = entity.id_of(event)
            if not key:
                continue
            for level in self.declaration.levels(entity):
                if append_time - event.event_time <= level.span_ms:
                    self._add_to_tile(event, entity, key, level)

    def _add_to_tile(self, event: Interaction, entity: Entity, key: str, level: Level) -> None:
        address = (entity, key, level, level.start(event.event_time))
        totals = self._tiles.setdefault(address, {})
        self._applied[address] += 1
        for feature in self.declaration.of(entity, level):
            feature.add(totals, event)


def fold(
    declaration: Declaration, messages: Iterable[Message], horizon_ms: int, epoch: int = 0
) -> Fold:
    """Folds messages in the order given: the order of the log."""
    state = Fold(declaration, horizon_ms, epoch)
    for message in messages:
        state.add(message)
    return state


def ring(tiles: Iterable[Tile]) -> dict[tuple[str, str, str], Tile]:
    """What a store keeps of them: the newest tile of every slot, by (entity, id, slot)."""
    kept: dict[tuple[str, str, str], Tile] = {}
    for tile in tiles:
        address = (str(tile.entity), tile.entity_id, tile.level.slot(tile.start))
        if address not in kept or kept[address].version < tile.version:
            kept[address] = tile
    return kept
