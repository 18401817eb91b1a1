"""A month of real purchases as clients would send them, a view before each, for the data gate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from batch.day_profile import day_of
from batch.decoding import SCHEMAS, decoder
from batch.lake import Lake
from batch.land import described
from batch.manifest import Batch
from feature_store.tiles import DAY_MS, MINUTE_MS
from feature_store.topics import INTERACTIONS
from infra.traffic import journey

Body = dict[str, Any]
#: Every second household: enough for a day to look like the next.
SAMPLE = 2
MESSAGES = pa.schema(
    [("partition", pa.int32()), ("offset", pa.int64()), ("append_time", pa.int64()),
     ("key", pa.binary()), ("value", pa.binary())]
)  # fmt: skip


def days(first: int, number: int) -> list[list[Body]]:
    """The events of so many days of 2017, from day `first` of the year on."""
    lines = journey.load(12).lines
    begin = journey.load(12).lines.time[0] // DAY_MS * DAY_MS
    day = (lines.time - begin) // DAY_MS
    chosen = (lines.household % SAMPLE == 0) & (day >= first) & (day < first + number)
    found: list[list[Body]] = [[] for _ in range(number)]
    for row in np.flatnonzero(chosen).tolist():
        found[int(day[row]) - first] += _events(lines, row)
    return found


def _events(lines: journey.Lines, row: int) -> list[Body]:
    item, time = str(lines.product[row]), int(lines.time[row])
    bought = {
        "event_id": f"{lines.basket[row]}-{item}", "user_id": f"u{lines.household[row]}",
        "item_id": item, "type": "purchase", "event_time": time,
        "quantity": int(lines.quantity[row]), "price": int(lines.price[row]) / 100,
        "context": {"country": "US", "device": "mobile"},
    }  # fmt: skip
    view = {**bought, "event_id": f"v{bought['event_id']}", "type": "view", "quantity": 1}
    return [{**view, "event_time": time - time % DAY_MS % MINUTE_MS}, bought]


def categories() -> dict[str, str]:
    """Item id -> its department."""
    rows = journey._table("products").to_pylist()
    return {str(row["product_id"]): str(row["department"]) for row in rows}


def decoded(topic: str, bodies: Iterable[Body | None], arrives: int, first: int = 0) -> pa.Table:
    """Messages as landing decodes them, of partition 0."""
    values = [None if body is None else orjson.dumps(body) for body in bodies]
    number = len(values)
    columns = [[0] * number, range(first, first + number), [arrives] * number]
    keys = [str(n).encode() for n in range(number)]
    table = pa.table([pa.array(one) for one in (*columns, keys, values)], names=MESSAGES.names)
    parts = [*decoder(topic)(table.cast(MESSAGES).to_batches())] if number else []
    return pa.Table.from_batches(parts, schema=SCHEMAS[topic])


def land(lake: Lake, topic: str, rows: pa.Table) -> None:
    """Adds decoded rows to a lake as one batch, filed by day."""
    landed = lake.landed(topic)
    start = landed.offsets.get("0", 0)
    name = f"batch-{start}"
    times = rows["event_time" if topic == INTERACTIONS.name else "append_time"].to_pylist()
    arrived = rows["append_time"].to_pylist()
    filed = [day_of(a if t is None else t) for t, a in zip(times, arrived, strict=True)]
    for day in sorted(set(filed)):
        path = landed.root / name / f"day={day}" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(rows.filter(pa.array([one == day for one in filed])), path)
    files = described(landed.root, name, (name,))
    invalid = sum(file.invalid for file in files)
    until = {"0": start + len(rows)}
    lake.add(topic, Batch(name, "id", {"0": start}, until, len(rows), invalid), files)


def catalogue(items: Iterable[str], **changed: Any) -> list[Body]:
    """Descriptions of items."""
    return [{"item_id": one, "title": f"Item {one}", "price": 2.0, **changed} for one in items]
