"""Streams, replays, rollbacks and repairs write the same tiles at once: the newest version stays.

Hypothesis chooses who writes what and when; the model is a dictionary. `make trials` makes many
more and longer stories than `make test`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from feature_store.declaration import Entity
from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.stores.memory import MemoryStore
from feature_store.tiles import DAY, HOUR, MINUTE, Level, Tile, Version
from tests.builders import NOON
from tests.contracts.conftest import REAL

pytestmark = pytest.mark.generative

#: Where tiles may lie. The second minute shares its ring slot with the first, a round later.
PLACES = (
    (MINUTE, NOON),
    (MINUTE, NOON + MINUTE.slots * MINUTE.ms),
    (HOUR, NOON),
    (DAY, DAY.start(NOON)),
)
ENTITIES = (Entity.USER, Entity.ITEM)
#: What a writer is about: (entity, place).
Subject = tuple[Entity, tuple[Level, int]]
SUBJECTS = st.tuples(st.sampled_from(ENTITIES), st.sampled_from(PLACES))
WRITERS = st.integers(0, 3)
FEW = st.integers(1, 4)
#: (subject, applied, epoch, generation)
VERSIONS = st.tuples(SUBJECTS, FEW, st.integers(0, 2), st.integers(0, 2))

_worlds = itertools.count()


def tile(subject: Subject, name: str, epoch: int, applied: int, generation: int = 0) -> Tile:
    """The tile after `applied` events, as a job of that epoch and generation says it."""
    entity, (level, start) = subject
    version = Version.of_tile(start, epoch, applied, generation)
    body = f'{{"views":{applied + 100 * generation + 1000 * epoch}}}'
    return Tile(entity, name, level, version, body)


def newest(tiles: Iterable[Tile], ring: bool) -> dict[tuple[str, str, str, str], Tile]:
    """What must remain of the writes: of each address, the newest version.

    A `ring` keeps one tile of every slot, the other stores one of every start.
    """
    kept: dict[tuple[str, str, str, str], Tile] = {}
    for one in tiles:
        place = one.level.slot(one.start) if ring else str(one.start)
        address = (str(one.entity), one.entity_id, one.level.code, place)
        if address not in kept or kept[address].version < one.version:
            kept[address] = one
    return kept


class Writers(RuleBasedStateMachine):
    """Writers who each know how far they are, and the store that they share."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._name = f"world-{next(_worlds)}"  # worlds share a store and never meet
        self._written: list[Tile] = []
        self._applied: dict[tuple[int, object], int] = {}
        self._saved: dict[tuple[int, object], int] = {}
        self._epoch = 0

    @rule(writer=WRITERS, subject=SUBJECTS, events=FEW)
    def stream(self, writer: int, subject: Subject, events: int) -> None:
        """A job applies some more events and writes the tile after each of them."""
        before = self._applied.get((writer, subject), 0)
        self._applied[writer, subject] = before + events
        self._write([self._tile(subject, before + n) for n in range(1, events + 1)])

    @rule(writer=WRITERS)
    def checkpoint(self, writer: int) -> None:
        """A job remembers where it is."""
        mine = {key: count for key, count in self._applied.items() if key[0] == writer}
        self._saved = {k: c for k, c in self._saved.items() if k[0] != writer} | mine

    @rule(writer=WRITERS)
    def roll_back(self, writer: int) -> None:
        """A job was killed: it goes on from its checkpoint, with fewer events applied."""
        self._applied = {k: c for k, c in self._applied.items() if k[0] != writer} | {
            key: count for key, count in self._saved.items() if key[0] == writer
        }

    @rule(subject=SUBJECTS, events=FEW, random=st.randoms(use_true_random=False))
    def replay(self, subject: Subject, events: int, random: random.Random) -> None:
        """Somebody writes the beginning again, in any order."""
        tiles = [self._tile(subject, n) for n in range(1, events + 1)]
        random.shuffle(tiles)
        self._write(tiles)

    @rule(subject=SUBJECTS, events=FEW)
    def repair(self, subject: Subject, events: int) -> None:
        """The batch layer knows better: a higher epoch, whatever was applied."""
        self._epoch += 1
        self._write([self._tile(subject, events)])

    @rule(versions=st.lists(VERSIONS, min_size=2, max_size=12))
    def write_together(self, versions: list[tuple[Subject, int, int, int]]) -> None:
        """Writes of several jobs arrive as one batch: of old epochs, of other generations."""
        self._write(
            [tile(one, self._name, epoch, applied, gen) for one, applied, epoch, gen in versions]
        )

    @invariant()
    def the_store_holds_the_newest_of_every_tile(self) -> None:
        expected = newest(self._written, ring=self._store.name != "cassandra")
        found = [one for one in self._store.scan_tiles() if one.entity_id == self._name]
        assert sorted(found, key=repr) == sorted(expected.values(), key=repr)

    def _tile(self, subject: Subject, applied: int) -> Tile:
        return tile(subject, self._name, self._epoch, applied)

    def _write(self, tiles: list[Tile]) -> None:
        self._written += tiles
        self._store.write_tiles(tiles)


class Careless(MemoryStore):
    """A store that believes whoever wrote last."""

    def write_tiles(self, tiles: Iterable[Tile]) -> None:
        for one in tiles:
            ring = self._tiles[one.entity, one.entity_id]
            ring[one.level.slot(one.start)] = one


def tell_stories(store: Store, **more: Any) -> None:
    """Runs the machine; a story costs many round trips, so there are fewer than examples."""
    stories = hypothesis_settings.default.max_examples // 4
    chosen = hypothesis_settings(max_examples=stories, **more)
    run_state_machine_as_test(partial(Writers, store), settings=chosen)  # type: ignore[no-untyped-call]


def test_no_story_leaves_an_older_tile(store: Store) -> None:
    tell_stories(store)


def test_a_store_that_believes_the_last_writer_is_found_out() -> None:
    with pytest.raises(AssertionError):
        tell_stories(Careless(), phases=[Phase.generate])


@pytest.mark.parametrize("name", REAL)
def test_of_eight_writers_the_newest_wins_for_every_tile(name: str, settings: Settings) -> None:
    subjects = list(itertools.product(ENTITIES, PLACES))
    tiles = [
        tile(subject, f"id-{n}", epoch, applied)
        for subject, n, epoch, applied in itertools.product(
            subjects, range(5), range(2), range(1, 26)
        )
    ]
    random.Random(7).shuffle(tiles)
    REAL[name](settings).close()  # the keyspace, once, before eight ask for it

    def write(mine: list[Tile]) -> None:
        store = REAL[name](settings)
        for start in range(0, len(mine), 25):
            store.write_tiles(mine[start : start + 25])
        store.close()

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(write, (tiles[n::8] for n in range(8))))
    store = REAL[name](settings)
    assert set(store.scan_tiles()) == set(newest(tiles, ring=name == "redis").values())
    store.close()
