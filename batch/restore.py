"""The landed log as what a store keeps of it: to refill one when all stores are lost.

Read with Arrow, file by file. What will be kept is held in memory, and a day of interactions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

import pyarrow.parquet as pq

from batch.day_profile import day_of
from batch.lake import Lake
from feature_store.declaration import Entity
from feature_store.events import canonical, decode_item, decode_profile
from feature_store.settings import Settings
from feature_store.stores.base import RECENTS_KEPT, Recent, Record
from feature_store.tiles import Version
from feature_store.topics import INTERACTIONS, ITEMS, PROFILES
from feature_store.trending import Engagement

POSITION: Final = ["append_time", "offset", "reason"]
RECENT: Final = ["event_id", "type", "item_id", "quantity", "price_minor", "query"]
#: An interaction and where the log has it: append time, offset. Copies share a partition.
Placed = tuple[int, int, Recent]
DECODERS: Final[dict[Entity, Any]] = {Entity.ITEM: decode_item, Entity.USER: decode_profile}


def records(settings: Settings, lake: Lake) -> Iterator[Record]:
    """Every message about an item or a user, as the stream would write it, in any order.

    Descriptions landed before their bytes were kept are left out.
    """
    for entity, topic in ((Entity.ITEM, ITEMS), (Entity.USER, PROFILES)):
        columns = [*POSITION, topic.key, "deleted", "raw"]
        for row in _rows(lake, settings.topic(topic.name), columns):
            if row["raw"] is None and not row["deleted"]:
                continue
            version = Version(row["append_time"], 0, row["offset"])
            body = "" if row["deleted"] else canonical(DECODERS[entity](row["raw"]))
            yield Record(entity, row[topic.key], version, body)


def recents(settings: Settings, lake: Lake) -> Iterator[tuple[str, Recent]]:
    """The newest interactions of each actor since an erasure, of copies the first in the log."""
    erased, kept = _erased(settings, lake), defaultdict[str, dict[str, Placed]](dict)
    columns = [*POSITION, "actor", "event_time", *RECENT]
    for row in _rows(lake, settings.topic(INTERACTIONS.name), columns):
        late = row["append_time"] - row["event_time"] > settings.horizon_ms
        if not late and row["append_time"] > erased.get(row["actor"], 0):
            mine = kept[row["actor"]]
            recent = Recent(row["event_time"], *(row[name] for name in RECENT))
            placed = (row["append_time"], row["offset"], recent)
            mine[recent.event_id] = min(mine.get(recent.event_id, placed), placed)
            if len(mine) >= 2 * RECENTS_KEPT:
                kept[row["actor"]] = {one[2].event_id: one for one in _newest(mine)}
    for actor, mine in kept.items():
        yield from ((actor, recent) for _, _, recent in _newest(mine))


def engagement(settings: Settings, lake: Lake, since: int) -> Iterator[Engagement]:
    """What counts of the interactions since `since` (ms), of copies the first in the log.

    All of them are held in memory: about a day.
    """
    first: dict[tuple[str, str], tuple[int, int, Engagement]] = {}
    columns = dict.fromkeys([*POSITION, "event_id", *Engagement._fields])
    for row in _rows(lake, settings.topic(INTERACTIONS.name), [*columns], since):
        event = Engagement(*(row[name] for name in Engagement._fields))
        lag = event.append_time - event.event_time
        if event.event_time >= since and lag <= settings.horizon_ms:
            placed = event.append_time, row["offset"], event
            identity = event.actor, row["event_id"]
            first[identity] = min(first.get(identity, placed), placed)
    return (event for _, _, event in first.values())


def _erased(settings: Settings, lake: Lake) -> dict[str, int]:
    """When (ms, append time) each user who asked for it was erased last."""
    asked: dict[str, int] = {}
    columns = [*POSITION, PROFILES.key, "deleted"]
    for row in _rows(lake, settings.topic(PROFILES.name), columns):
        if row["deleted"]:
            user = row[PROFILES.key]
            asked[user] = max(asked.get(user, 0), row["append_time"])
    return asked


def _newest(mine: dict[str, Placed]) -> list[Placed]:
    return sorted(mine.values(), key=itemgetter(2), reverse=True)[:RECENTS_KEPT]


def _rows(
    lake: Lake, topic: str, columns: Sequence[str], since: int = 0
) -> Iterator[dict[str, Any]]:
    """The accepted messages of a topic, the columns named, of the day of `since` and later."""
    landed = lake.landed(topic)
    for path in map(landed.path, landed.since(day_of(since))):
        for batch in pq.ParquetFile(path).iter_batches(columns=list(columns)):
            yield from (row for row in batch.to_pylist() if row["reason"] is None)
