"""Bases: what the batch layer knows of everything before a day, for windows that last a lifetime.

A base holds late events too, because the whole log is read, and it never lies in Flink's state.
Together with the day tiles after it, it is a lifetime.
"""

from __future__ import annotations

from typing import Final

from batch import compiler
from feature_store.declaration import Declaration, Entity
from feature_store.tiles import DAY, DAY_MS

#: The most days left to tiles. The ring holds 64: some nights may fail before a day is missing.
MOST_MS: Final = 60 * DAY_MS


def base_day(cut_ms: int, horizon_ms: int) -> int:
    """The day before which a recount of the log up to `cut_ms` owns everything."""
    return DAY.start(cut_ms - min(horizon_ms, MOST_MS))


def bases(declaration: Declaration, events: str, until: int) -> str:
    """The base of every entity before the day `until` (ms) as SQL, in the columns of tiles.

    Empty when nothing is lifelong. `events` is a view of `compiler.counted`; what a user did before
    an erasure is in no base of the user.
    """
    entities = [entity for entity in Entity if declaration.lifelong(entity)]
    views = {Entity.ITEM: events, Entity.USER: f"(SELECT * FROM {events} WHERE NOT forgotten)"}
    parts = (compiler.bases(declaration, entity, views[entity], until) for entity in entities)
    return "\nUNION ALL\n".join(parts)
