"""The landed log as training reads it: each valid interaction once, and the catalogue of now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from batch import compiler
from batch.lake import Lake
from batch.session import give_back
from batch.versions import OPEN, as_of, versions
from feature_store.aggregates import MEASURES
from feature_store.events import Interaction
from feature_store.settings import Settings
from feature_store.topics import INTERACTIONS, ITEMS, PROFILES
from models.bundle import Catalogue
from models.content import Text
from models.interactions import Floats, Interactions, Ints, Longs

_COLUMNS = (
    "event_id", "actor", "item_id", "type", "event_time", "quantity", "price_minor",
    "amount_minor", "weight", "query",
)  # fmt: skip


_REPEATED = ("actor", "item_id", "type", "query")
#: Rows that are Python objects twice at once.
_CHUNK = 50_000


class NothingToLearn(Exception):
    """The log holds no interaction with an item."""


@dataclass(frozen=True)
class Items:
    """The catalogue as columns; `category`, `brand`, `group` are codes, -1 for unknown.

    A `group` is the first two levels of a category path: what may be compared by content.
    """

    ids: tuple[str, ...]
    texts: tuple[Text, ...]
    category: Ints
    brand: Ints
    group: Ints
    price_minor: Floats
    catalogue: Catalogue

    @cached_property
    def index_of(self) -> Mapping[str, int]:
        """Item id -> position."""
        return {item: position for position, item in enumerate(self.ids)}

    def picked(self, rows: Sequence[int]) -> Items:
        """The rows in this order; -1 is an item without a description, under a name of no item."""
        there = np.asarray(rows, np.int64)
        nothing = Text("", (), "", ())

        def codes(of: Ints) -> Ints:
            return np.where(there < 0, -1, of[there]).astype(np.int32)

        return replace(
            self,
            ids=tuple(self.ids[row] if row >= 0 else f"\0{n}" for n, row in enumerate(rows)),
            texts=tuple(self.texts[row] if row >= 0 else nothing for row in rows),
            category=codes(self.category),
            brand=codes(self.brand),
            group=codes(self.group),
            price_minor=np.where(there < 0, np.nan, self.price_minor[there]).astype(np.float32),
        )


@dataclass(frozen=True)
class Known:
    """The events with known items as columns, in order of time; measures by name."""

    actor: Longs
    item: Longs
    time: Longs
    kind: npt.NDArray[np.str_]
    measures: Mapping[str, Longs]


@dataclass(frozen=True)
class History:
    """`events` in order of (event time, event id); `log` the same as columns, known items only.

    `items` are as of now; `told` is every version of their descriptions, if there is more than now.
    """

    events: tuple[Interaction, ...]
    items: Items
    log: Interactions
    told: pa.Table | None = None

    @property
    def start(self) -> int:
        """When the oldest event was (ms)."""
        return self.events[0].event_time if self.events else 0

    @property
    def end(self) -> int:
        """Just after the newest event (ms): the cut of a fit on everything."""
        return self.events[-1].event_time + 1 if self.events else 0

    @cached_property
    def known(self) -> Known:
        """What item windows are counted from."""
        index_of = self.items.index_of
        known = [event for event in self.events if event.item_id in index_of]
        code_of = {actor: code for code, actor in enumerate(self.log.actor_ids)}
        return Known(
            np.asarray([code_of[event.actor] for event in known], np.int64),
            np.asarray([index_of[event.item_id] for event in known], np.int64),
            np.asarray([event.event_time for event in known], np.int64),
            np.asarray([event.type for event in known], np.str_),
            {m: np.asarray([getattr(e, m) for e in known], np.int64) for m in MEASURES},
        )

    def items_at(self, moment: int) -> Items:
        """The same items as they were described at a moment (ms): `items` if none has changed.

        A catalogue may be sent after what happened to its items, so a first description holds
        from ever. Of an item that nobody had touched either, nothing was known.
        """
        if self.told is None:
            return self.items
        unheard = self._described_after(moment) - self._touched_before(moment)
        if not unheard and not _changed_since(self.told, moment):
            return self.items
        described = _described(self.told, moment)
        return _items(
            self.items.ids, {i: said for i, said in described.items() if i not in unheard}
        )

    def _described_after(self, moment: int) -> set[str]:
        """The items whose first description came at a moment (ms) or later."""
        assert self.told is not None
        first = pc.equal(self.told["valid_from"], 0)
        late = pc.greater_equal(self.told["append_time"], moment)
        return set(self.told.filter(pc.and_(first, late))["item_id"].to_pylist())

    def _touched_before(self, moment: int) -> set[str]:
        rows = np.unique(self.log.item[self.log.time < moment])
        return {self.items.ids[row] for row in rows}

    def keeping(self, events: Iterable[Interaction]) -> History:
        """Some of the events, still in order, over the same catalogue."""
        kept = tuple(events)
        return replace(self, events=kept, log=_log(kept, self.items.index_of))

    def over(self, ids: Sequence[str]) -> History:
        """The same past with its items in the order of another list; what that lacks comes after.

        A position of `ids` whose item is unknown or deleted here stays empty.
        """
        known = set(ids)
        order = [*ids, *(item for item in self.items.ids if item not in known)]
        items = self.items.picked([self.items.index_of.get(item, -1) for item in order])
        return replace(self, items=items, log=_log(self.events, items.index_of))

    @classmethod
    def build(
        cls,
        events: Sequence[Interaction],
        described: Mapping[str, Mapping[str, Any]],
        deleted: frozenset[str] = frozenset(),
        told: pa.Table | None = None,
    ) -> History:
        """From interactions and the newest description of each item; deleted items are left out."""
        ordered = tuple(sorted(events, key=lambda e: (e.event_time, e.event_id)))
        seen = {event.item_id for event in ordered if event.item_id}
        items = _items(sorted((seen | set(described)) - deleted), described)
        return cls(ordered, items, _log(ordered, items.index_of), told)


def read(spark: SparkSession, settings: Settings, lake: Lake) -> History:
    """Reads the lake, late events too; who asked to be erased is not in it.

    Raises `NothingToLearn`.
    """
    topic = settings.topic(INTERACTIONS.name)
    lake.read(spark, topic, INTERACTIONS.name).createOrReplaceTempView("log")
    profiles = settings.topic(PROFILES.name)
    lake.read(spark, profiles, PROFILES.name).createOrReplaceTempView("profiles")
    kept = spark.sql(f"""
        SELECT {", ".join(f"`{column}`" for column in _COLUMNS)}
        FROM ({compiler.applied("log", compiler.EVER)}) AS e
        LEFT ANTI JOIN (SELECT user_id, append_time FROM profiles WHERE deleted) AS erased
        ON e.actor = erased.user_id AND e.append_time <= erased.append_time""")
    rows = _rows(kept.toArrow())
    give_back(spark)
    told = versions(settings, lake, ITEMS)
    described, deleted = _described(told, OPEN - 1), _deleted(told)
    history = History.build([_interaction(*row) for row in rows], described, deleted, told)
    if not len(history.log):
        raise NothingToLearn(
            f"No interaction with an item is landed under {lake.root}: send some, for example "
            "with `millrace replay`."
        )
    return history


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """The rows of `_COLUMNS`; of ids and words that come again and again there is one copy."""
    known: dict[str, str] = {}
    for batch in table.to_batches(max_chunksize=_CHUNK):
        columns = batch.to_pydict()
        for name in _REPEATED:
            columns[name] = [known.setdefault(word, word) for word in columns[name]]
        yield from zip(*(columns[name] for name in _COLUMNS), strict=True)


def _interaction(
    event_id: str, actor: str, item_id: str, kind: str, event_time: int,
    quantity: int, price_minor: int, amount_minor: int, weight: int, query: str,
) -> Interaction:  # fmt: skip
    return Interaction(
        event_id, actor, item_id, kind, event_time, quantity, price_minor, amount_minor, weight,
        value=None, query=query, device="", country="", page="", unknown_fields=0,
    )  # fmt: skip


def _described(told: pa.Table, moment: int) -> dict[str, dict[str, Any]]:
    """What was said of each item at a moment (ms)."""
    return {row["item_id"]: row for row in as_of(told, moment).to_pylist()}


def _deleted(told: pa.Table) -> frozenset[str]:
    """The items whose newest record deletes them."""
    newest = told.filter(pc.equal(told["valid_until"], OPEN))
    return frozenset(newest.filter(newest["deleted"])["item_id"].to_pylist())


def _changed_since(told: pa.Table, moment: int) -> bool:
    """Whether a version that held at `moment` or later has been replaced."""
    ends = told["valid_until"]
    return bool(pc.any(pc.and_(pc.greater(ends, moment), pc.less(ends, OPEN))).as_py())


def _items(ids: Sequence[str], described: Mapping[str, Mapping[str, Any]]) -> Items:
    rows = [described.get(item, {}) for item in ids]
    texts = tuple(
        Text(
            row.get("title") or "",
            tuple(row.get("category") or ()),
            row.get("brand") or "",
            tuple(row.get("tags") or ()),
            row.get("description") or "",
            row.get("price_minor") or 0,
        )
        for row in rows
    )
    prices = [row.get("price_minor") for row in rows]
    category, paths = _codes([text.category for text in texts])
    brand, brands = _codes([text.brand for text in texts])
    return Items(
        ids=tuple(ids),
        texts=texts,
        category=category,
        brand=brand,
        group=_codes([text.category[:2] for text in texts])[0],
        price_minor=np.asarray([np.nan if p is None else p for p in prices], np.float32),
        catalogue=Catalogue(tuple(text.title for text in texts), tuple(paths), tuple(brands)),
    )


def _codes(values: Sequence[Any]) -> tuple[Ints, list[Any]]:
    """Codes by order of value, -1 for an empty one, and what each code stands for."""
    names = sorted({value for value in values if value})
    code_of = {name: code for code, name in enumerate(names)}
    return np.asarray([code_of.get(value, -1) for value in values], np.int32), names


def _log(events: Sequence[Interaction], index_of: Mapping[str, int]) -> Interactions:
    known = [event for event in events if event.item_id in index_of]
    actors = sorted({event.actor for event in known})
    code_of = {actor: code for code, actor in enumerate(actors)}
    return Interactions.build(
        actors,
        [code_of[event.actor] for event in known],
        [index_of[event.item_id] for event in known],
        [event.event_time for event in known],
        [event.weight for event in known],
        [event.price_minor for event in known],
    )
