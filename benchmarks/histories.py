"""Public logs as the nightly's `History`: what it would have read from the lake."""

from __future__ import annotations

from typing import Any, Final

from batch.history import History
from feature_store.events import WEIGHTS, Interaction, decode_item, minor_units
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
    decoded = (decode_item(said.value or b"") for said in slice_.items())
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
