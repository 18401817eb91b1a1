"""The store as plain dictionaries: what the other two are checked against."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from feature_store.declaration import Entity
from feature_store.stores.base import (
    ACCEPTED_MS,
    DAMAGED,
    EDITION,
    RECENTS_KEPT,
    RESULTS_KEPT,
    Document,
    Listed,
    Recent,
    Record,
    TrendingList,
    TrendingTile,
    UserState,
    decode_body,
    decode_each,
)
from feature_store.tiles import Level, Tile, TileSet, Version


class MemoryStore:
    """Implements `Store` in process."""

    name = "memory"
    keeps_all = False

    def __init__(self) -> None:
        self._tiles: dict[tuple[str, str], dict[str, Tile]] = defaultdict(dict)
        self._recents: dict[str, set[Recent]] = defaultdict(set)
        self._records: dict[tuple[Entity, str], Record] = {}
        self._trending_tiles: dict[tuple[str, int], dict[str, TrendingTile]] = defaultdict(dict)
        self._trending: dict[str, TrendingList] = {}
        self._listed: dict[tuple[str, int], Listed] = {}
        self._changed: dict[str, int] = {}
        self._documents: dict[str, Document] = {}
        self._accepted: dict[str, set[Recent]] = defaultdict(set)
        self._results: dict[str, dict[str, str]] = defaultdict(dict)

    def write_tiles(self, tiles: Iterable[Tile]) -> None:
        for tile in tiles:
            ring = self._tiles[tile.entity, tile.entity_id]
            slot = tile.level.slot(tile.start)
            if slot not in ring or ring[slot].version < tile.version:
                ring[slot] = tile
            if tile.entity == Entity.ITEM:
                self._touch(tile.entity_id)

    def write_recents(self, recents: Iterable[tuple[str, Recent]]) -> None:
        for actor, recent in recents:
            kept = self._recents[actor]
            kept.add(recent)
            if len(kept) > RECENTS_KEPT:
                kept.remove(min(kept))

    def write_records(self, records: Iterable[Record]) -> None:
        for record in records:
            stored = self._records.get((record.kind, record.key))
            if stored and stored.version >= record.version:
                continue
            self._records[record.kind, record.key] = record
            if record.kind is Entity.ITEM:
                self._touch(record.key)
            elif record.deleted:
                self._tiles.pop((Entity.USER, record.key), None)
                for kept in (self._recents, self._accepted, self._results):
                    kept.pop(record.key, None)
                for key in [key for key in self._listed if key[0] == record.key]:
                    del self._listed[key]

    def write_trending_tiles(self, tiles: Iterable[TrendingTile]) -> None:
        for tile in tiles:
            stored = self._trending_tiles[tile.level.code, tile.version.moment]
            if tile.member not in stored or stored[tile.member].version < tile.version:
                stored[tile.member] = tile

    def publish_trending(self, trending: TrendingList) -> None:
        stored = self._trending.get(trending.window)
        if stored is None or stored.published_at < trending.published_at:
            self._trending[trending.window] = trending

    def write_document(self, document: Document) -> None:
        stored = self._documents.get(document.name)
        if stored is None or stored.version < document.version:
            self._documents[document.name] = document

    def read_document(self, name: str) -> Document | None:
        return self._documents.get(name)

    def write_accepted(self, actor: str, recent: Recent) -> None:
        self._accepted[actor].add(recent)

    def write_recommendations(self, lists: Iterable[Listed]) -> None:
        self._listed.update({(one.actor, one.made_at): one for one in lists})

    def publish_recommendations(self, made_at: int) -> None:
        self.write_document(Document(EDITION, Version(made_at, 0, 0), ""))

    def read_user(self, actor: str, shape: str = "") -> UserState:
        profile = self._records.get((Entity.USER, actor))
        return UserState(
            actor=actor,
            tiles=self._tile_set(Entity.USER, actor),
            recents=tuple(sorted(self._recents.get(actor, ()), reverse=True)),
            profile=decode_body(profile.body) if profile and not profile.deleted else None,
            accepted=tuple(sorted(filter(_is_young, self._accepted.get(actor, ())), reverse=True)),
            result=self._results[actor].get(shape) if actor in self._results else None,
        )

    def read_items(self, item_ids: Sequence[str]) -> dict[str, Mapping[str, object]]:
        records = ((i, self._records.get((Entity.ITEM, i))) for i in item_ids)
        return decode_each(((i, r.body) for i, r in records if r), decode_body, DAMAGED)

    def read_item_tiles(self, item_ids: Sequence[str]) -> dict[str, TileSet]:
        return {
            i: self._tile_set(Entity.ITEM, i) for i in item_ids if (Entity.ITEM, i) in self._tiles
        }

    def changed_items(self, since_ms: int) -> list[str]:
        return [item for item, at in self._changed.items() if at >= since_ms]

    def read_trending(self, window: str) -> TrendingList | None:
        return self._trending.get(window)

    def read_recommendations(self, actor: str) -> Listed | None:
        edition = self._documents.get(EDITION)
        return self._listed.get((actor, edition.version.moment)) if edition else None

    def read_trending_tiles(self, level: Level, starts: Sequence[int]) -> list[TrendingTile]:
        return [
            tile
            for start in starts
            for tile in self._trending_tiles.get((level.code, start), {}).values()
        ]

    def keep_result(self, actor: str, shape: str, result: str) -> None:
        kept = self._results[actor]
        kept[shape] = result
        if len(kept) > RESULTS_KEPT:
            del self._results[actor]

    def scan_tiles(self) -> Iterator[Tile]:
        for ring in self._tiles.values():
            yield from ring.values()

    def scan_records(self) -> Iterator[Record]:
        yield from self._records.values()

    def scan_recents(self) -> Iterator[tuple[str, Recent]]:
        for actor, kept in self._recents.items():
            yield from ((actor, recent) for recent in kept)

    def close(self) -> None:
        """Nothing to release."""

    def _tile_set(self, entity: Entity, key: str) -> TileSet:
        ring = self._tiles.get((entity, key), {})
        return TileSet.from_ring({slot: tile.encode() for slot, tile in ring.items()})

    def _touch(self, item_id: str) -> None:
        self._changed[item_id] = time.time_ns() // 1_000_000


def _is_young(accepted: Recent) -> bool:
    return accepted.event_time > time.time_ns() // 1_000_000 - ACCEPTED_MS
