"""The judge: what a store holds beside an independent recount of the acknowledged log.

The recount is the plain-Python reference over the log as Kafka has it. Every acknowledged message
must be in that log, at its position and byte for byte; then every tile must be what the log says.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batch.differences import Comparison, compare
from feature_store.declaration import Declaration, Entity
from feature_store.reference import Message, fold, ring
from feature_store.stores.base import Store
from feature_store.tiles import DAY, Tile
from tests.faults.load import Position


@dataclass(frozen=True)
class Verdict:
    """Everything is right when `right` says so; the figures say how wrong it is.

    `lost` and `twice` are events, counted by users' day tiles, in which each event is once.
    """

    acknowledged: int
    forgotten: int
    counts: Mapping[str, int]
    lost: int
    twice: int
    comparison: Comparison
    hashes: tuple[str, str]

    @property
    def right(self) -> bool:
        """Nothing forgotten, lost or counted twice, and every tile the same to the byte."""
        return self.comparison.equal and not (self.forgotten or self.lost or self.twice)

    def figures(self) -> dict[str, object]:
        """For the line that a trial prints."""
        return {
            "acknowledged": self.acknowledged,
            "forgotten_by_kafka": self.forgotten,
            **self.counts,
            "lost": self.lost,
            "twice": self.twice,
            "tiles": self.comparison.tiles,
            "tiles_wrong": self._wrong,
            "tiles_hash": self.hashes[0],
            "right": self.right,
        }

    @property
    def _wrong(self) -> int:
        it = self.comparison
        return it.missing + it.different + it.extra


def judge(
    store: Store,
    log: Sequence[Message],
    acknowledged: Mapping[Position, bytes | None],
    features: Declaration,
    horizon_ms: int,
) -> Verdict:
    """Compares a drained store with the log, and the log with what was acknowledged."""
    folded = fold(features, log, horizon_ms)
    expected, stored = list(folded.tiles()), list(store.scan_tiles())
    if store.name != "cassandra":  # the others keep a ring
        expected = list(ring(expected).values())
    should, did = _applied(expected), _applied(stored)
    in_log = {(message.partition, message.offset): message.value for message in log}
    return Verdict(
        acknowledged=len(acknowledged),
        forgotten=sum(in_log.get(where, b"gone") != what for where, what in acknowledged.items()),
        counts=dict(folded.counts),
        lost=sum((should - did).values()),
        twice=sum((did - should).values()),
        comparison=compare(store.name, stored, expected, {}),
        hashes=(_hash(stored), _hash(expected)),
    )


def dead_positions(letters: Iterable[Mapping[str, object]]) -> set[Position]:
    """The distinct places that dead letters speak of."""
    return {(int(str(one["partition"])), int(str(one["offset"]))) for one in letters}


def _applied(tiles: Iterable[Tile]) -> Counter[tuple[str, int]]:
    """Events by (user, day): every applied event is in exactly one."""
    return Counter(
        {
            (tile.entity_id, tile.start): tile.version.applied
            for tile in tiles
            if tile.entity == Entity.USER and tile.level == DAY
        }
    )


def _hash(tiles: Iterable[Tile]) -> str:
    told = sorted(
        f"{t.entity}|{t.entity_id}|{t.level.code}|{t.start}|{t.version.applied}|{t.body}"
        for t in tiles
    )
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
