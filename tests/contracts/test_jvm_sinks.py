"""The job's sinks in the JVM leave in a store what its Python class would have written there."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores.base import Recent, Store, TrendingTile
from feature_store.stores.memory import MemoryStore
from feature_store.tiles import DAY, HOUR, LEVEL_OF_MS, MINUTE, Tile, Version
from streaming import sinks, trending
from tests.builders import NOON, Sent, log_of, view
from tests.collector import Collector, collecting
from tests.contracts.conftest import REAL
from tests.flink import local_flink, traceparent
from tests.redis_server import RedisServer
from tests.spec.engines import flink
from tests.spec.examples import HORIZON

EPOCH, GENERATION = 2, 7
PACE = sinks.Pace(2, 10)
AWKWARD = 'quo"te\\ \t日本 💧 \x7f'

#: (entity id, level, start, events applied, body)
TILES: list[tuple[Any, ...]] = [
    ("ann", DAY.ms, DAY.start(NOON), 3, '{"purchases":2,"views":1}'),
    ("ann", HOUR.ms, NOON, 2, '{"views":2}'),
    ("ann", HOUR.ms, NOON + HOUR.ms, 1, '{"views":1}'),
    ("bob", MINUTE.ms, NOON, 1, "{}"),
    (AWKWARD, MINUTE.ms, NOON, 1, '{"actors":[1,2]}'),
]
#: (actor, event time, event id, type, item, quantity, price, query, append time, traceparent)
RECENTS: list[tuple[Any, ...]] = [
    ("ann", NOON, "e1", "view", "milk", 1, 199, "", NOON + 5, None),
    ("ann", NOON, "e2", "search", "", 1, 0, AWKWARD, NOON + 5, None),
    ("bob", NOON + 1, AWKWARD, "view", AWKWARD, 3, 0, "", NOON + 6, None),
]
#: (level, start, member, events applied, weight)
TRENDING: list[tuple[Any, ...]] = [
    (MINUTE.ms, NOON, "milk", 2, 20),
    (MINUTE.ms, NOON, "milk\x1fNO", 1, -3),
    (HOUR.ms, NOON, AWKWARD, 1, 5),
]


@pytest.fixture(params=REAL)
def store(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Store]:
    """A store that the sinks of a job wrote all rows to, and then older ones of the same tiles."""
    settings = settings.model_copy(update={"epoch": EPOCH})
    for rows in (TILES, [older(row) for row in TILES]):
        run(settings, request.param, {"user_tiles": rows, "item_tiles": rows})
    run(settings, request.param, {"recents": RECENTS, "trending_tiles": TRENDING})
    store = REAL[request.param](settings)
    yield store
    store.close()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that holds nothing."""
    server = RedisServer.started(tmp_path)
    yield server
    server.kill()


def older(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The tile as it was before its last event."""
    return (*row[:3], row[3] - 1, '{"views":99}')


def run(
    settings: Settings,
    store: str,
    rows: dict[str, list[tuple[Any, ...]]],
    pace: sinks.Pace = PACE,
) -> None:
    """Inserts rows into the job's tables, in a job of their own."""
    t_env = local_flink()
    sinks.register_tables(t_env, settings, store, GENERATION, pace)
    job = t_env.create_statement_set()
    for table, some in rows.items():
        types = t_env.from_path(table).get_schema().to_row_data_type()
        t_env.create_temporary_view(f"{table}_rows", t_env.from_elements(some, types))
        # These rows have no fold before them that would tell the planner their key.
        conflict = "" if table == "recents" else "ON CONFLICT DO DEDUPLICATE"
        job.add_insert_sql(f"INSERT INTO {table} SELECT * FROM {table}_rows {conflict}")
    job.execute().wait()


def expected() -> MemoryStore:
    """What Python would have written."""
    store = MemoryStore()
    for entity in Entity:
        store.write_tiles(
            Tile(entity, key, LEVEL_OF_MS[ms], version(start, applied), body)
            for key, ms, start, applied, body in TILES
        )
    store.write_recents((actor, Recent(*fields)) for actor, *fields, _, _ in RECENTS)
    store.write_trending_tiles(
        TrendingTile.of_member(
            LEVEL_OF_MS[ms], member, f"{version(start, applied).encode()}{weight}"
        )
        for ms, start, member, applied, weight in TRENDING
    )
    return store


def version(start: int, applied: int) -> Version:
    return Version.of_tile(start, EPOCH, applied, GENERATION)


def test_the_sinks_write_what_python_writes_and_nothing_older(store: Store) -> None:
    python = expected()
    assert sorted(store.scan_tiles(), key=repr) == sorted(python.scan_tiles(), key=repr)
    for actor in ("ann", "bob"):
        assert store.read_user(actor).recents == python.read_user(actor).recents
    for level in (MINUTE, HOUR):
        found = store.read_trending_tiles(level, [NOON])
        assert sorted(found, key=repr) == sorted(
            python.read_trending_tiles(level, [NOON]), key=repr
        )


def test_an_item_that_changed_is_known_to_have_changed(store: Store) -> None:
    if store.name == "redis":
        assert set(store.changed_items(0)) == {"ann", "bob", AWKWARD}


def test_an_older_tile_in_the_same_batch_does_not_take_the_slot_of_a_newer(
    redis: RedisServer,
) -> None:
    """One day of the ring and the day that left it: which wins is for the store to say."""
    newer = ("ann", DAY.ms, DAY.start(NOON), 3, '{"views":3}')
    left = ("ann", DAY.ms, DAY.start(NOON) - DAY.slots * DAY.ms, 9, '{"views":9}')
    run(redis.settings, "redis", {"user_tiles": [newer, left]}, sinks.Pace(10, 60_000))
    (tile,) = REAL["redis"](redis.settings).scan_tiles()
    assert (tile.start, tile.body) == (newer[2], newer[4])


#: What a store may hold of a tile of which the job says three events: (epoch, applied, generation).
MET = [
    (EPOCH + newer, 3 + more, GENERATION + later)
    for newer, more, later in itertools.product((-1, 0, 1), repeat=3)
]


@pytest.mark.parametrize("name", REAL)
def test_a_job_and_a_repair_refuse_what_is_older_of_each_other(
    name: str, settings: Settings
) -> None:
    """Repairs are written by Python: of any version that it may find, the higher one stays."""
    store = REAL[name](settings)
    start = DAY.start(NOON)
    repairs = [
        Tile(Entity.USER, f"met-{n}", DAY, Version.of_tile(start, *told), f'{{"views":{told[1]}}}')
        for n, told in enumerate(MET)
    ]
    said = [replace(one, version=version(start, 3), body='{"views":3}') for one in repairs]
    newer = {max(pair, key=lambda one: one.version) for pair in zip(repairs, said, strict=True)}

    store.write_tiles(repairs)
    rows = [(one.entity_id, DAY.ms, start, 3, one.body) for one in said]
    run(settings.model_copy(update={"epoch": EPOCH}), name, {"user_tiles": rows})
    assert {*store.scan_tiles()} == newer
    store.write_tiles(repairs)
    assert {*store.scan_tiles()} == newer
    store.close()


#: An actor acts twice: with a mini-batch of one row, the item is taken back between the two sums.
TWICE = log_of([view("ann", "milk", at=NOON), view("ann", "milk", at=NOON + 1)])


def fold_twice(settings: Settings, into: str) -> None:
    t_env = flink(HORIZON, TWICE, **{"table.exec.mini-batch.size": "1"})
    sinks.register_tables(t_env, settings, "redis", GENERATION, PACE)
    t_env.execute_sql(f"INSERT INTO {into.format(trending.tiles(since=0))}").wait()


def test_a_trending_tile_taken_back_for_a_moment_does_not_end_the_job(redis: RedisServer) -> None:
    fold_twice(redis.settings, "trending_tiles {}")
    (tile,) = REAL["redis"](redis.settings).read_trending_tiles(MINUTE, [NOON])
    assert (tile.item_id, tile.weight, tile.version.applied) == ("milk", 2, 2)


def test_any_other_tile_taken_back_ends_the_job(redis: RedisServer) -> None:
    tiles = "SELECT `member`, ms, tile_start, applied, '{{}}' FROM ({})"
    with pytest.raises(Exception, match="A fold took back what it had said"):
        fold_twice(redis.settings, f"user_tiles {tiles}")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def traced(redis: RedisServer, collector: Collector) -> Settings:
    return redis.settings.model_copy(update={"traces": collector.url})


def clicked(event_id: str, header: str | None, ago_ms: int = 0) -> tuple[Any, ...]:
    """A row of recents whose event was appended just now, or some time ago."""
    now = time.time_ns() // 1_000_000 - ago_ms
    return ("ann", now, event_id, "click", "milk", 1, 0, "", now, header)


def test_a_written_event_is_a_span_below_the_one_that_its_message_names(
    redis: RedisServer, collector: Collector
) -> None:
    """Whether the reader in the JVM is sure of the message or the contract has to judge it."""
    now = time.time_ns() // 1_000_000
    plain = view("ann", "milk", at=now, event_id='quo"te\\ 日本')
    odd = orjson.dumps(view("bob", "milk", at=now, event_id="odd").body)
    log = log_of([plain, Sent(odd.replace(b'"type"', b'"t\\u0079pe"'), now)])
    t_env = flink(HORIZON, log)
    sinks.register_tables(t_env, traced(redis, collector), "redis", GENERATION, PACE)
    columns = ", ".join(t_env.from_path("recents").get_schema().get_field_names())
    t_env.execute_sql(f"INSERT INTO recents SELECT {columns} FROM applied").wait()
    spans = collector.wait_for(lambda span: span.service == "millrace-streaming", count=2)
    parents = {
        span.attributes["millrace.event_id"]: f"00-{span.trace_id}-{span.parent_id}-01"
        for span in spans
    }
    assert parents == {'quo"te\\ 日本': traceparent(0), "odd": traceparent(1)}
    for span in spans:
        assert (span.name, span.attributes["millrace.store"]) == ("feature written", "redis")
        assert now * 1_000_000 == span.start <= span.end <= time.time_ns()


def test_only_what_is_traced_and_news_is_a_span(redis: RedisServer, collector: Collector) -> None:
    kept = traceparent(0)
    rows = [
        clicked("without a header", None),
        clicked("not in the share", kept[:-2] + "00"),
        clicked("nonsense", "nonsense"),
        clicked("no trace", kept.replace("ace", "000")),
        clicked("folded again", kept, ago_ms=HOUR.ms + 1),
        clicked("kept", kept),
    ]
    # One row a batch: the last one's span is sent after all others.
    run(traced(redis, collector), "redis", {"recents": rows}, sinks.Pace(1, 10))
    collector.wait_for(lambda span: span.attributes["millrace.event_id"] == "kept")
    assert len(collector.spans) == 1


def test_a_collector_that_is_out_costs_no_row(redis: RedisServer, collector: Collector) -> None:
    collector.close()
    run(traced(redis, collector), "redis", {"recents": [clicked("e1", traceparent(0))]})
    (recent,) = REAL["redis"](redis.settings).read_user("ann").recents
    assert recent.event_id == "e1"
