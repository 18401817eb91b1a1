"""Public logs as the nightly's `History`: what it would have read from the lake."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from batch.history import History
from benchmarks.packed import packed
from feature_store.events import WEIGHTS, Interaction, ItemMessage, minor_units
from infra.traffic import journey

#: A star rating from here on says that a film was liked.
LIKED: Final = 3.5


def complete_journey(months: int = journey.ALL_MONTHS) -> History:
    """The Complete Journey: household purchases of one year, or of its last `months`."""
    slice_ = journey.load(months)
    lines = slice_.lines
    columns = (
        lines.household,
        lines.basket,
        lines.product,
        lines.time,
        lines.quantity,
        lines.price,
    )
    events = [
        _event(f"{basket}-{product}", journey.user_id(who), str(product), at, count, cents)
        for who, basket, product, at, count, cents in zip(
            *(c.tolist() for c in columns), strict=True
        )
    ]
    return History.build(events, _described(slice_))


def _described(slice_: journey.Journey) -> dict[str, dict[str, Any]]:
    """The newest description of each product sold, as the lake holds it."""
    decoded = (ItemMessage.model_validate_json(said.value or b"") for said in slice_.items())
    return {
        item.item_id: {
            "title": item.title,
            "category": item.category,
            "brand": item.brand,
            "tags": item.tags,
            "price_minor": None if item.price is None else minor_units(item.price),
        }
        for item in decoded
    }


def _event(
    event_id: str, actor: str, item: str, at: int, quantity: int, cents: int, kind: str = "purchase"
) -> Interaction:
    return Interaction(
        event_id, actor, item, kind, at, quantity, cents, cents * quantity, WEIGHTS[kind],
        value=None, query="", device="", country="", page="", unknown_fields=0,
    )  # fmt: skip


def movielens() -> History:
    """MovieLens latest-small: a film rated well was liked, one rated badly was not."""
    events = [
        _event(
            f"{row['userId']}-{row['movieId']}", row["userId"], row["movieId"],
            int(row["timestamp"]) * 1_000, 1, 0,
            "like" if float(row["rating"]) >= LIKED else "dislike",
        )
        for row in _rows("ml-latest-small.tar.xz", "ratings.csv")
    ]  # fmt: skip
    films = {
        row["movieId"]: {"title": row["title"], "category": row["genres"].split("|")[:2]}
        for row in _rows("ml-latest-small.tar.xz", "movies.csv")
    }
    return History.build(events, films)


def online_retail() -> History:
    """Online Retail: invoice lines with a customer; cancellations and corrections are left out."""
    rows = list(_rows("online_retail.tar.xz", "online_retail.csv"))
    sold = [r for r in rows if r["CustomerID"] and int(r["Quantity"]) > 0]
    events = [
        _event(
            f"{row['InvoiceNo']}-{number}", row["CustomerID"], row["StockCode"],
            _moment(row["InvoiceDate"]), min(int(row["Quantity"]), journey.LARGEST_QUANTITY),
            minor_units(max(float(row["UnitPrice"]), 0.0)),
        )
        for number, row in enumerate(sold)
    ]  # fmt: skip
    goods = {row["StockCode"]: {"title": row["Description"]} for row in sold}
    return History.build(events, goods)


def _moment(text: str) -> int:
    """A clock time without a zone, read as UTC (ms)."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def _rows(archive: str, name: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV file in one of the packed data sets."""
    with packed(archive) as files:
        member = next(m for m in files.getmembers() if Path(m.name).name == name)
        file = files.extractfile(member)
        if file is None:
            raise SystemExit(f"{archive}: {name} is not a file.")
        yield from csv.DictReader(TextIOWrapper(file, "utf-8", newline=""))
