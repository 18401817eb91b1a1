"""What every store can do. All writes are absolute and idempotent; an older version never wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import orjson

from feature_store.declaration import Entity
from feature_store.events import Interaction
from feature_store.tiles import HOUR_MS, VERSION_WIDTH, Level, Tile, TileSet, Version

#: How many of an actor's newest interactions are kept.
RECENTS_KEPT: Final = 200
#: The largest integer that a double holds exactly.
LARGEST: Final = 2**53
#: Most items have no tiles: they share this set. So do those whose tiles nobody can read.
NO_TILES: Final = TileSet()
#: What is said of an item whose body is no JSON object: no contract accepts it.
DAMAGED: Final[Mapping[str, object]] = {"item_id": None}
#: How long what was accepted stands beside the recents, which are the stream's to write.
ACCEPTED_MS: Final = HOUR_MS
#: How many kinds of requests of one actor keep a result, and for how long (seconds).
RESULTS_KEPT: Final = 32
RESULT_TTL_S: Final = 3_600
#: The document whose version names the edition of lists that is read.
EDITION: Final = "recommendations"
#: How long a list made in advance is kept: some nights may fail before it is gone.
LISTS_KEPT_S: Final = 14 * 86_400
#: Between an item and a country; ids hold no control characters.
COUNTRY_SEPARATOR: Final = "\x1f"


class StoreUnavailable(Exception):
    """The store did not answer in time or refused: wait (stream) or degrade (serving)."""


K = TypeVar("K")
V = TypeVar("V")


class Recent(NamedTuple):
    """One of an actor's last interactions, ordered by (event time, event id).

    A named tuple: a request reads up to 200, and a frozen dataclass takes three times as long.
    """

    event_time: int
    event_id: str
    type: str
    item_id: str
    quantity: int
    price_minor: int
    query: str

    def encode(self) -> str:
        """A JSON array whose text order, within one event time, is the order of event ids."""
        return orjson.dumps(
            [self.event_id, self.event_time, self.type, self.item_id,
             self.quantity, self.price_minor, self.query]
        ).decode()  # fmt: skip

    @classmethod
    def of(cls, event: Interaction) -> Recent:
        """What a store keeps of an interaction."""
        return cls(
            event.event_time, event.event_id, event.type, event.item_id,
            event.quantity, event.price_minor, event.query,
        )  # fmt: skip

    @classmethod
    def decode(cls, value: str | bytes) -> Recent:
        """The inverse of `encode`; `ValueError` or `TypeError` for anything else."""
        return cls._of(orjson.loads(value))

    @classmethod
    def decode_all(cls, values: Sequence[str]) -> tuple[Recent, ...]:
        """The same of many at once."""
        return tuple(map(cls._of, orjson.loads(f"[{','.join(values)}]")))

    @classmethod
    def _of(cls, said: Sequence[Any]) -> Recent:
        """Spelt out, because a request judges up to 200: a third of the time of a loop."""
        event_id, event_time, kind, item_id, quantity, price_minor, query = said
        if (
            type(event_time) is type(quantity) is type(price_minor) is int
            and type(event_id) is type(kind) is type(item_id) is type(query) is str
            and event_time <= LARGEST
            and price_minor <= LARGEST
        ):
            return cls._make((event_time, event_id, kind, item_id, quantity, price_minor, query))
        # Logged where it is read: it may tell of types, never what a person did.
        kinds = ", ".join(type(part).__name__ for part in said)
        raise ValueError(f"no interaction as a store keeps it: ({kinds})")


@dataclass(frozen=True, slots=True)
class Record:
    """The newest message about an item or a user, as its contract's JSON; empty = deleted."""

    kind: Entity
    key: str
    version: Version
    body: str

    @property
    def deleted(self) -> bool:
        """A tombstone: the item is gone, or the user asked to be erased."""
        return not self.body


@dataclass(frozen=True, slots=True)
class TrendingTile:
    """Capped engagement of one item in one tile: what trending lists are made of.

    `country` is empty for what happened everywhere. A tile's store holds both, by `member`.
    """

    level: Level
    version: Version
    item_id: str
    weight: int
    country: str = ""

    @property
    def member(self) -> str:
        """The item, and the country if it is of one: no id holds the separator."""
        return f"{self.item_id}{COUNTRY_SEPARATOR}{self.country}" if self.country else self.item_id

    @classmethod
    def of_member(cls, level: Level, member: str, value: str) -> TrendingTile:
        """From its name in the tile and its stored value: the version, then the weight."""
        item_id, _, country = member.partition(COUNTRY_SEPARATOR)
        version, weight = Version.decode(value), int(value[VERSION_WIDTH:])
        return cls(level, version, item_id, weight, country)


@dataclass(frozen=True, slots=True)
class TrendingList:
    """The lists of one window, whole: segment (see `feature_store.trending`) -> [(item, score)]."""

    window: str
    published_at: int
    segments: Mapping[str, Sequence[tuple[str, float]]]


def encode_segments(trending: TrendingList) -> str:
    """The lists as a store keeps them."""
    return orjson.dumps(dict(trending.segments)).decode()


def decode_segments(value: str) -> dict[str, list[tuple[str, float]]]:
    """The inverse of `encode_segments`; raises `ValueError` for anything else."""
    lists = {
        segment: [(item, score) for item, score in top]
        for segment, top in decode_body(value).items()
    }
    if not all(
        type(item) is str and type(score) in {int, float} and abs(score) < LARGEST
        for top in lists.values()
        for item, score in top
    ):
        raise ValueError("no trending lists as a store keeps them")
    return lists


def decode_body(body: str) -> dict[str, Any]:
    """A JSON object, empty for a tombstone; raises `ValueError` for anything else."""
    found = orjson.loads(body or "{}")
    if not isinstance(found, dict):
        raise ValueError(f"no JSON object: {type(found).__name__}")
    return found


def decode_each(
    kept: Iterable[tuple[str, K]], decode: Callable[[K], V], damaged: V
) -> dict[str, V]:
    """By key what is decoded of each value; one that is damaged costs itself only."""
    found = {}
    for key, value in kept:
        try:
            found[key] = decode(value)
        except (ValueError, TypeError, KeyError):
            found[key] = damaged
    return found


@dataclass(frozen=True, slots=True)
class Document:
    """Something small that all processes share, by its name; `body` is its owner's JSON."""

    name: str
    version: Version
    body: str

    def encode(self) -> str:
        """As a store keeps it."""
        return self.version.encode() + self.body

    @classmethod
    def decode(cls, name: str, value: str) -> Document:
        """The inverse of `encode`."""
        return cls(name, Version.decode(value), value[VERSION_WIDTH:])


@dataclass(frozen=True, slots=True)
class Listed:
    """One actor's list, made in advance: what to answer when nothing fresher can be computed.

    `made_at` (ms) names the edition: all lists of one nightly. `items` are best first, with
    scores that compare within the list only.
    """

    actor: str
    made_at: int
    bundle_id: str
    items: tuple[tuple[str, float], ...]

    def encode(self) -> str:
        """What a store keeps under the actor and the edition."""
        return orjson.dumps([self.bundle_id, self.items]).decode()

    @classmethod
    def decode(cls, actor: str, made_at: int, value: str) -> Listed:
        """The inverse of `encode`."""
        bundle_id, items = orjson.loads(value)
        return cls(actor, made_at, bundle_id, tuple((item, score) for item, score in items))


@dataclass(frozen=True, slots=True)
class UserState:
    """Everything a request needs to know about one actor, from one round trip.

    `accepted` may be in `recents` already, and may be missing there for ever: a copy, say.
    `result` is what `keep_result` kept for the kind of request that was asked about.
    """

    actor: str
    tiles: TileSet = field(default_factory=TileSet)
    recents: tuple[Recent, ...] = ()
    profile: Mapping[str, object] | None = None
    accepted: tuple[Recent, ...] = ()
    result: str | None = None

    @property
    def last_event(self) -> Recent | None:
        """The newest interaction known; `recents` are newest first."""
        return self.recents[0] if self.recents else None


class Store(Protocol):
    """A place for features. Raises `StoreUnavailable` when the service behind it fails."""

    name: str
    #: Whether it keeps every tile until that expires; otherwise of each slot the newest one.
    keeps_all: bool

    # -- written by the stream, repaired by the batch layer
    def write_tiles(self, tiles: Iterable[Tile]) -> None:
        """Upserts tiles; a lower version is refused silently."""

    def write_recents(self, recents: Iterable[tuple[str, Recent]]) -> None:
        """Adds (actor, interaction) pairs; each actor keeps the newest `RECENTS_KEPT`."""

    def write_records(self, records: Iterable[Record]) -> None:
        """Upserts item metadata and profiles; erasure also forgets a user's tiles and recents."""

    def write_trending_tiles(self, tiles: Iterable[TrendingTile]) -> None:
        """Upserts the capped engagement of items, indexed by tile."""

    def publish_trending(self, trending: TrendingList) -> None:
        """Replaces one window's lists, whole; an older publish time never wins."""

    # -- written by serving, so that the next answer of every process knows
    def write_document(self, document: Document) -> None:
        """Replaces what has its name, unless that is newer."""

    def read_document(self, name: str) -> Document | None:
        """The newest of that name."""

    def write_accepted(self, actor: str, recent: Recent) -> None:
        """Keeps what Kafka has accepted, until about `ACCEPTED_MS` after it happened."""

    # -- written by the batch layer
    def write_recommendations(self, lists: Iterable[Listed]) -> None:
        """Keeps lists of an edition that is not published yet; nobody reads them."""

    def publish_recommendations(self, made_at: int) -> None:
        """Makes an edition the one that is read, in one step; an older one never wins."""

    # -- read by serving
    def read_user(self, actor: str, shape: str = "") -> UserState:
        """Profile, tiles and recents of an actor (empty for an unknown one).

        `shape` names a kind of request: what was kept for it comes along.
        """

    def read_items(self, item_ids: Sequence[str]) -> dict[str, Mapping[str, object]]:
        """Metadata by item id; empty for a deleted item, absent for an unknown one."""

    def read_item_tiles(self, item_ids: Sequence[str]) -> dict[str, TileSet]:
        """Tiles by item id, for those that have any."""

    def changed_items(self, since_ms: int) -> list[str]:
        """Items with a tile or record written since then (writer clock): what to refresh."""

    def read_trending(self, window: str) -> TrendingList | None:
        """The published lists of one window."""

    def read_recommendations(self, actor: str) -> Listed | None:
        """The actor's list in the published edition."""

    def read_trending_tiles(self, level: Level, starts: Sequence[int]) -> list[TrendingTile]:
        """The capped engagement in the given tiles."""

    # -- the results that serving keeps
    def keep_result(self, actor: str, shape: str, result: str) -> None:
        """Keeps a result for a kind of request: for an hour at most, `RESULTS_KEPT` of an actor."""

    # -- read by reconciliation and rebuild
    def scan_tiles(self) -> Iterator[Tile]:
        """Every tile kept."""

    def scan_records(self) -> Iterator[Record]:
        """Every item and profile kept, the deleted ones too."""

    def scan_recents(self) -> Iterator[tuple[str, Recent]]:
        """Every (actor, interaction) kept; perhaps more of an actor than `RECENTS_KEPT`."""

    def close(self) -> None:
        """Releases connections."""
