"""The judge: what a store holds beside an independent recount of the acknowledged log.

The recount is the plain-Python reference over the log as Kafka has it. Every acknowledged message
must be in that log, at its position and byte for byte; then every tile, and every actor's recents,
must be what the log says.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batch.differences import Comparison, compare
from feature_store.declaration import Declaration, Entity
from feature_store.events import Interaction
from feature_store.reference import Fold, Message, ring
from feature_store.stores.base import RECENTS_KEPT, Recent, Store
from feature_store.tiles import DAY, Tile
from tests.faults.load import Position


@dataclass(frozen=True)
class Verdict:
    """Everything is right when `right` says so; the figures say how wrong it is.

    `lost` and `twice` are events, counted by users' day tiles, in which each event is once.
    `forgetful` are the actors whose recents are not the newest that the log has of them. `refused`
    are the messages of the log that break the contract, with the reason.
    """

    acknowledged: int
    forgotten: int
    counts: Mapping[str, int]
    refused: Mapping[Position, str]
    lost: int
    twice: int
    comparison: Comparison
    actors: int
    forgetful: tuple[str, ...]
    hashes: tuple[str, str]

    @property
    def right(self) -> bool:
        """Nothing forgotten, lost or counted twice; tiles and recents the same to the byte."""
        wrong = self.forgotten or self.lost or self.twice or self.forgetful
        return self.comparison.equal and not wrong

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
            "actors": self.actors,
            "recents_wrong": len(self.forgetful),
            "right": self.right,
        }

    @property
    def examples(self) -> list[str]:
        """Some of what is wrong, for the one who has to find out why."""
        return [*self.comparison.examples, *(f"recents of {who}" for who in self.forgetful[:5])]

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
    folded = Fold(features, horizon_ms)
    recents = newest(event for message in log if (event := folded.add(message)))
    expected, stored = list(folded.tiles()), list(store.scan_tiles())
    if store.name != "cassandra":  # the others keep a ring
        expected = list(ring(expected).values())
    should, did = _applied(expected), _applied(stored)
    in_log = {(message.partition, message.offset): message.value for message in log}
    return Verdict(
        acknowledged=len(acknowledged),
        forgotten=sum(in_log.get(where, b"gone") != what for where, what in acknowledged.items()),
        counts=dict(folded.counts),
        refused={(bad.partition, bad.offset): reason for bad, reason in folded.dead_letters},
        lost=sum((should - did).values()),
        twice=sum((did - should).values()),
        comparison=compare(store.name, stored, expected, {}),
        actors=len(recents),
        forgetful=tuple(who for who in recents if store.read_user(who).recents != recents[who]),
        hashes=(_hash(stored), _hash(expected)),
    )


def newest(applied: Iterable[Interaction]) -> dict[str, tuple[Recent, ...]]:
    """By actor, the last interactions that a store keeps, newest first."""
    by_actor: dict[str, list[Recent]] = defaultdict(list)
    for event in applied:
        by_actor[event.actor].append(Recent.of(event))
    return {
        who: tuple(sorted(theirs, reverse=True)[:RECENTS_KEPT]) for who, theirs in by_actor.items()
    }


def reasons(letters: Iterable[Mapping[str, object]]) -> dict[Position, str]:
    """By the place that dead letters speak of, the reason; one may be there twice."""
    return {
        (int(str(one["partition"])), int(str(one["offset"]))): str(one["reason"]) for one in letters
    }


def misfiled(verdict: Verdict, said: Mapping[Position, str]) -> list[str]:
    """Messages without a letter, letters without cause, and those with another reason."""
    return [
        f"{where}: letter {said.get(where)}, contract {verdict.refused.get(where)}"
        for where in sorted(said.keys() | verdict.refused.keys())
        if said.get(where) != verdict.refused.get(where)
    ]


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
