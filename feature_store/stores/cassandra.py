"""The kept store: Cassandra, where the write timestamp decides which of two writes is newer.

A tile's timestamp is made of its epoch and the events applied (its start is part of the key); a
record's of its append time. Rows of one partition travel together in unlogged batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, Final

import orjson
from cassandra import OperationTimedOut, RequestExecutionException, UnresolvableContactPoints
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    Session,
)
from cassandra.concurrent import execute_concurrent
from cassandra.connection import ConnectionBusy, ConnectionException, ProtocolError
from cassandra.policies import ConstantReconnectionPolicy, RoundRobinPolicy
from cassandra.query import BatchStatement, BatchType, BoundStatement

from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores.base import (
    ACCEPTED_MS,
    DAMAGED,
    EDITION,
    LISTS_KEPT_S,
    NO_TILES,
    RECENTS_KEPT,
    Document,
    Listed,
    Recent,
    Record,
    StoreUnavailable,
    TrendingList,
    TrendingTile,
    UserState,
    decode_body,
    decode_each,
    decode_segments,
    encode_segments,
)
from feature_store.tiles import (
    DAY,
    LEVEL_OF_CODE,
    VERSION_WIDTH,
    Level,
    Tile,
    TileSet,
    Version,
)

TABLES: Final = (
    "tiles (entity text, id text, level text, start bigint, value text, "
    "PRIMARY KEY ((entity, id), level, start))",
    "recents (actor text, event_time bigint, event_id text, value text, "
    "PRIMARY KEY (actor, event_time, event_id)) "
    "WITH CLUSTERING ORDER BY (event_time DESC, event_id DESC)",
    "accepted (actor text, event_time bigint, event_id text, value text, "
    "PRIMARY KEY (actor, event_time, event_id)) "
    "WITH CLUSTERING ORDER BY (event_time DESC, event_id DESC)",
    "records (kind text, key text, value text, PRIMARY KEY ((kind, key)))",
    "trend (level text, start bigint, item text, value text, PRIMARY KEY ((level, start), item))",
    "trending (window text PRIMARY KEY, value text)",
    "documents (name text PRIMARY KEY, value text)",
    "recommendations_by_user (actor text, made_at bigint, value text, "
    "PRIMARY KEY (actor, made_at)) WITH CLUSTERING ORDER BY (made_at DESC)",
)
STATEMENTS: Final = {
    "tile": "INSERT INTO tiles (entity, id, level, start, value) VALUES (?, ?, ?, ?, ?) "
    "USING TIMESTAMP ? AND TTL ?",
    "recent": "INSERT INTO recents (actor, event_time, event_id, value) VALUES (?, ?, ?, ?) "
    "USING TTL ?",
    "accepted": "INSERT INTO accepted (actor, event_time, event_id, value) VALUES (?, ?, ?, ?) "
    "USING TTL ?",
    "record": "INSERT INTO records (kind, key, value) VALUES (?, ?, ?) USING TIMESTAMP ?",
    "trend": "INSERT INTO trend (level, start, item, value) VALUES (?, ?, ?, ?) "
    "USING TIMESTAMP ? AND TTL ?",
    "document": "INSERT INTO documents (name, value) VALUES (?, ?) USING TIMESTAMP ?",
    "get_document": "SELECT value FROM documents WHERE name = ?",
    "trending": "INSERT INTO trending (window, value) VALUES (?, ?) USING TIMESTAMP ?",
    "listed": "INSERT INTO recommendations_by_user (actor, made_at, value) VALUES (?, ?, ?) "
    "USING TTL ?",
    "forget_tile": "DELETE FROM tiles USING TIMESTAMP ? "
    "WHERE entity = ? AND id = ? AND level = ? AND start = ?",
    "forget_recents": "DELETE FROM recents WHERE actor = ?",
    "forget_accepted": "DELETE FROM accepted WHERE actor = ?",
    "forget_listed": "DELETE FROM recommendations_by_user WHERE actor = ?",
    "get_tiles": "SELECT level, start, value FROM tiles WHERE entity = ? AND id = ?",
    "get_recents": "SELECT value FROM recents WHERE actor = ? LIMIT ?",
    "get_accepted": "SELECT value FROM accepted WHERE actor = ? LIMIT ?",
    "get_record": "SELECT value FROM records WHERE kind = ? AND key = ?",
    "get_trend": "SELECT item, value FROM trend WHERE level = ? AND start = ?",
    "get_trending": "SELECT value FROM trending WHERE window = ?",
    "get_listed": "SELECT made_at, value FROM recommendations_by_user WHERE actor = ?",
}
#: Rows of one partition in one batch: well under Cassandra's warning at 5 KiB.
BATCH_ROWS: Final = 20
CONCURRENCY: Final = 64
SEQUENCE_BITS: Final = 43
#: Failures that pass: no such host, no host that answers, too slow, not speaking the protocol, too
#: few replicas. A refused statement is a bug.
UNAVAILABLE: Final = (
    NoHostAvailable,
    UnresolvableContactPoints,
    OperationTimedOut,
    RequestExecutionException,
    ConnectionException,
    ConnectionBusy,
    ProtocolError,
)
#: A node that is gone is tried again this often, for ever; the driver's own pauses grow to minutes.
RECONNECT_S: Final = 1.0
#: Silence on an idle connection is noticed after about the sum of these; by default after a minute.
HEARTBEAT_S: Final = 4
HEARTBEAT_PATIENCE_S: Final = 2


class CassandraStore:
    """Implements `Store` over one Cassandra keyspace."""

    name = "cassandra"
    keeps_all = True

    def __init__(self, session: Session) -> None:
        self._session = session
        self._prepared = {name: session.prepare(cql) for name, cql in STATEMENTS.items()}
        self._timeout_s = session.get_execution_profile(EXEC_PROFILE_DEFAULT).request_timeout

    def within(self, timeout_s: float) -> CassandraStore:
        """The same store over the same connections, whose reads are given up after `timeout_s`."""
        hurried = copy(self)
        hurried._timeout_s = timeout_s
        return hurried

    @classmethod
    def connect(cls, settings: Settings, timeout_s: float = 10.0) -> CassandraStore:
        """A store over the namespace's keyspace, which is created where it is missing."""
        host, port = settings.cassandra.rsplit(":", 1)
        profile = ExecutionProfile(RoundRobinPolicy(), request_timeout=timeout_s)
        with _errors():
            cluster = Cluster(
                [host],
                port=int(port),
                protocol_version=5,
                connect_timeout=timeout_s,
                execution_profiles={EXEC_PROFILE_DEFAULT: profile},
                reconnection_policy=ConstantReconnectionPolicy(RECONNECT_S, max_attempts=None),
                idle_heartbeat_interval=HEARTBEAT_S,
                idle_heartbeat_timeout=HEARTBEAT_PATIENCE_S,
            )
        try:
            with _errors():
                session = cluster.connect()
                for statement in schema(settings):
                    session.execute(statement)
                return cls(session)
        except BaseException:
            cluster.shutdown()
            raise

    def write_tiles(self, tiles: Iterable[Tile]) -> None:
        rows: dict[tuple[str, str], list[BoundStatement]] = defaultdict(list)
        insert = self._prepared["tile"]
        for t in tiles:
            rows[t.entity, t.entity_id].append(
                insert.bind(
                    (str(t.entity), t.entity_id, t.level.code, t.level.address(t.start), t.encode(),
                     _sequence_timestamp(t.version), _lives_s(t.level))
                )
            )  # fmt: skip
        self._write(rows)

    def write_recents(self, recents: Iterable[tuple[str, Recent]]) -> None:
        rows: dict[str, list[BoundStatement]] = defaultdict(list)
        insert = self._prepared["recent"]
        for actor, r in recents:
            values = (actor, r.event_time, r.event_id, r.encode(), _lives_s(DAY))
            rows[actor].append(insert.bind(values))
        self._write(rows)

    def write_records(self, records: Iterable[Record]) -> None:
        rows: dict[tuple[str, str], list[BoundStatement]] = defaultdict(list)
        for r in records:
            value = r.version.encode() + r.body
            timestamp = _moment_timestamp(r.version)
            bound = self._prepared["record"].bind((str(r.kind), r.key, value, timestamp))
            rows[r.kind, r.key].append(bound)
            if r.deleted and r.kind is Entity.USER and self._is_news(r):
                self._forget(r.key)
        self._write(rows)

    def write_trending_tiles(self, tiles: Iterable[TrendingTile]) -> None:
        rows: dict[tuple[str, int], list[BoundStatement]] = defaultdict(list)
        insert = self._prepared["trend"]
        for t in tiles:
            value = f"{t.version.encode()}{t.weight}"
            address = (t.level.code, t.version.moment)
            timestamp = _sequence_timestamp(t.version)
            rows[address].append(
                insert.bind((*address, t.member, value, timestamp, _lives_s(t.level)))
            )
        self._write(rows)

    def publish_trending(self, trending: TrendingList) -> None:
        version = Version(trending.published_at, 0, 0)
        value = version.encode() + encode_segments(trending)
        self._execute("trending", trending.window, value, _moment_timestamp(version))

    def write_document(self, document: Document) -> None:
        timestamp = _moment_timestamp(document.version)
        self._execute("document", document.name, document.encode(), timestamp)

    def read_document(self, name: str) -> Document | None:
        rows = self._execute("get_document", name)
        return Document.decode(name, rows[0].value) if rows else None

    def write_accepted(self, actor: str, recent: Recent) -> None:
        moment = (recent.event_time, recent.event_id)
        self._execute("accepted", actor, *moment, recent.encode(), ACCEPTED_MS // 1_000)

    def write_recommendations(self, lists: Iterable[Listed]) -> None:
        insert = self._prepared["listed"]
        bound = (insert.bind((x.actor, x.made_at, x.encode(), LISTS_KEPT_S)) for x in lists)
        self._write({number: [statement] for number, statement in enumerate(bound)})

    def publish_recommendations(self, made_at: int) -> None:
        self.write_document(Document(EDITION, Version(made_at, 0, 0), ""))

    def read_user(self, actor: str, shape: str = "") -> UserState:
        tiles, recents, accepted, records = self._execute_all(
            ("get_tiles", (Entity.USER.value, actor)),
            ("get_recents", (actor, RECENTS_KEPT)),
            ("get_accepted", (actor, RECENTS_KEPT)),
            ("get_record", (Entity.USER.value, actor)),
        )
        body = records[0].value[VERSION_WIDTH:] if records else ""
        return UserState(
            actor=actor,
            tiles=_tile_set(tiles),
            recents=tuple(Recent.decode(row.value) for row in recents),
            profile=decode_body(body) if body else None,
            accepted=tuple(Recent.decode(row.value) for row in accepted),
        )

    def read_items(self, item_ids: Sequence[str]) -> dict[str, Mapping[str, object]]:
        found = self._execute_all(*(("get_record", (Entity.ITEM.value, i)) for i in item_ids))
        known = _zip(item_ids, found)
        return decode_each(
            ((i, rows[0].value[VERSION_WIDTH:]) for i, rows in known if rows), decode_body, DAMAGED
        )

    def read_item_tiles(self, item_ids: Sequence[str]) -> dict[str, TileSet]:
        found = self._execute_all(*(("get_tiles", (Entity.ITEM.value, i)) for i in item_ids))
        known = ((i, rows) for i, rows in _zip(item_ids, found) if rows)
        return decode_each(known, _tile_set, NO_TILES)

    def changed_items(self, since_ms: int) -> list[str]:
        """Not tracked here: only the hot store hints at what to refresh."""
        return []

    def read_trending(self, window: str) -> TrendingList | None:
        rows = self._execute("get_trending", window)
        if not rows:
            return None
        value: str = rows[0].value
        moment = Version.decode(value).moment
        return TrendingList(window, moment, decode_segments(value[VERSION_WIDTH:]))

    def read_recommendations(self, actor: str) -> Listed | None:
        editions, lists = self._execute_all(("get_document", (EDITION,)), ("get_listed", (actor,)))
        edition = Version.decode(editions[0].value).moment if editions else 0
        found = (row.value for row in lists if row.made_at == edition)
        return next((Listed.decode(actor, edition, value) for value in found), None)

    def read_trending_tiles(self, level: Level, starts: Sequence[int]) -> list[TrendingTile]:
        found = self._execute_all(*(("get_trend", (level.code, start)) for start in starts))
        return [TrendingTile.of_member(level, r.item, r.value) for rows in found for r in rows]

    def keep_result(self, actor: str, shape: str, result: str) -> None:
        """Not kept here: a result is worth one round trip to the hot store, no more."""

    def scan_tiles(self) -> Iterator[Tile]:
        with _errors():
            for r in self._session.execute("SELECT entity, id, level, value FROM tiles"):
                version, body = Version.decode(r.value), r.value[VERSION_WIDTH:]
                yield Tile(r.entity, r.id, LEVEL_OF_CODE[r.level], version, body)

    def scan_records(self) -> Iterator[Record]:
        with _errors():
            for r in self._session.execute("SELECT kind, key, value FROM records"):
                version, body = Version.decode(r.value), r.value[VERSION_WIDTH:]
                yield Record(Entity(r.kind), r.key, version, body)

    def scan_recents(self) -> Iterator[tuple[str, Recent]]:
        with _errors():
            for r in self._session.execute("SELECT actor, value FROM recents"):
                yield r.actor, Recent.decode(r.value)

    def close(self) -> None:
        self._session.cluster.shutdown()

    def _is_news(self, record: Record) -> bool:
        """Whether the store knows nothing as new: a replay must not take what came later."""
        rows = self._execute("get_record", str(record.kind), record.key)
        return not rows or Version.decode(rows[0].value) < record.version

    def _forget(self, actor: str) -> None:
        """Removes tiles row by row: a deletion of the partition would hide the next ones too."""
        newest = (1 << 62) - 1
        rows = self._execute("get_tiles", Entity.USER.value, actor)
        delete = self._prepared["forget_tile"]
        keys = [(newest, Entity.USER.value, actor, row.level, row.start) for row in rows]
        self._write({actor: [delete.bind(key) for key in keys]})
        for name in ("forget_recents", "forget_accepted", "forget_listed"):
            self._execute(name, actor)

    def _write(self, rows: Mapping[Any, list[BoundStatement]]) -> None:
        with _errors():
            work = [(statement, ()) for bound in rows.values() for statement in _batches(bound)]
            execute_concurrent(self._session, work, CONCURRENCY, raise_on_first_error=True)

    def _execute(self, name: str, *values: object) -> list[Any]:
        with _errors():
            bound = self._prepared[name].bind(values)
            return list(self._session.execute(bound, timeout=self._timeout_s))

    def _execute_all(self, *queries: tuple[str, tuple[object, ...]]) -> list[list[Any]]:
        """One round trip's worth of waiting for all of them."""
        with _errors():
            futures = [
                self._session.execute_async(
                    self._prepared[name].bind(values), timeout=self._timeout_s
                )
                for name, values in queries
            ]
            return [list(future.result()) for future in futures]


def schema(settings: Settings) -> list[str]:
    """The statements that make the namespace's keyspace and tables where they are missing."""
    keyspace = settings.namespace
    replication = (
        f"'class': 'SimpleStrategy', 'replication_factor': {settings.cassandra_replication}"
    )
    return [
        f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {{{replication}}}",
        f"USE {keyspace}",
        *(f"CREATE TABLE IF NOT EXISTS {table}" for table in TABLES),
    ]


def _batches(bound: list[BoundStatement]) -> Iterator[BoundStatement | BatchStatement]:
    if len(bound) == 1:
        yield bound[0]
        return
    for start in range(0, len(bound), BATCH_ROWS):
        batch = BatchStatement(BatchType.UNLOGGED)
        for statement in bound[start : start + BATCH_ROWS]:
            batch.add(statement)
        yield batch


def _sequence_timestamp(version: Version) -> int:
    """(epoch, events applied) as a write timestamp."""
    return (version.epoch << SEQUENCE_BITS) | version.sequence


def _moment_timestamp(version: Version) -> int:
    """(append time, offset) as a write timestamp; offsets tell writes of one ms apart."""
    return version.moment * 1_000_000 + version.sequence % 1_000_000


def _lives_s(level: Level) -> int:
    return level.kept_ms // 1000


def _tile_set(rows: Iterable[Any]) -> TileSet:
    return TileSet(
        (LEVEL_OF_CODE[row.level], int(row.value[:15]), orjson.loads(row.value[VERSION_WIDTH:]))
        for row in rows
    )


def _zip(ids: Sequence[str], found: list[list[Any]]) -> Iterator[tuple[str, list[Any]]]:
    return zip(ids, found, strict=True)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except UNAVAILABLE as error:
        raise StoreUnavailable(f"cassandra: {error}") from error
