"""The recount in plain Python, and a lake that holds one as a night leaves it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from batch.bases import base_day
from batch.compiler import EVER
from batch.lake import Lake
from batch.recount import Recount
from feature_store.declaration import Declaration, Entity
from feature_store.events import Interaction
from feature_store.reference import Fold, Message, fold
from feature_store.tiles import BASE, Tile, Total, Version, encode_body

#: Spark writes these columns, also when there are no rows.
COLUMNS: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("entity", "entity_id", "level")),
        *((name, pa.int64()) for name in ("start", "applied")),
        ("body", pa.string()),
    ]
)


def recounted(declaration: Declaration, log: Sequence[Message], horizon_ms: int) -> list[Tile]:
    """Every tile and base that `batch.recount` counts of a log whose last message is the cut.

    Without erasures, and of copies with one event time. `tests/unit/batch/test_recount.py` holds it
    against Spark's.
    """
    cut = log[-1].append_time
    ever = Fold(declaration, EVER)
    counted = [event for message in log if (event := ever.add(message))]
    owned = (tile for tile in ever.tiles() if _ended(tile) <= cut - horizon_ms)
    young = (t for t in fold(declaration, log, horizon_ms).tiles() if _ended(t) > cut - horizon_ms)
    return [*owned, *young, *_bases(declaration, counted, base_day(cut, horizon_ms))]


def keep(lake: Lake, done: Recount, tiles: Iterable[Tile]) -> None:
    """Writes these tiles as the recount's; it counts when `Recount.latest` finds it."""
    rows = [
        {"entity": t.entity, "entity_id": t.entity_id, "level": t.level.code, "start": t.start,
         "applied": t.version.applied, "body": t.body}
        for t in tiles
    ]  # fmt: skip
    directory = lake.root / "tiles" / done.directory
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, COLUMNS), directory / "part-0.parquet")


def _ended(tile: Tile) -> int:
    return tile.start + tile.level.ms


def _bases(declaration: Declaration, counted: list[Interaction], until: int) -> Iterator[Tile]:
    before: dict[tuple[Entity, str], list[Interaction]] = defaultdict(list)
    for event in counted:
        for entity in Entity:
            if event.event_time < until and declaration.lifelong(entity) and entity.id_of(event):
                before[entity, entity.id_of(event)].append(event)
    for (entity, key), events in before.items():
        totals: dict[str, Total] = {}
        for feature in declaration.lifelong(entity):
            for event in events:
                feature.add(totals, event)
        version = Version.of_tile(until, 0, len(events))
        yield Tile(entity, key, BASE, version, encode_body(totals))
