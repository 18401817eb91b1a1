"""A shop whose streams and nights write to one store: the machine that tells its stories.

Events come in time, late and twice; jobs fold them, are killed, go back to a checkpoint, start
without state, are upgraded; time passes; nights count the log and repair, by the code of
`batch/reconcile.py`, while the stream goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from batch import reconcile
from batch.lake import Lake
from batch.recount import Recount
from feature_store import tiles
from feature_store.aggregates import Sum
from feature_store.declaration import Declaration, Entity, Feature
from feature_store.events import MAX_FUTURE_MS
from feature_store.reference import Fold, Message
from feature_store.settings import Settings
from feature_store.stores.base import Store
from feature_store.tiles import BASE, DAY_1, HOUR_1, LIFETIME, Tile, Version
from tests.builders import DAY, HOUR, MINUTE, NOON, Sent, log_of, purchase
from tests.recount import keep, recounted

#: Tiles of every level, and bases.
DECLARED = Declaration(
    tuple(
        Feature("units", entity, ("purchase",), Sum("quantity"), (HOUR_1, DAY_1, LIFETIME))
        for entity in Entity
    )
)
#: With the shorter one an event of 65 minutes ago is late and still belongs to a minute.
HORIZONS = st.sampled_from((1, 48))
DELAYS = st.sampled_from(
    (0, 0, -4 * MINUTE, 20 * MINUTE, 65 * MINUTE, 3 * HOUR, 40 * HOUR, 60 * HOUR, 70 * DAY)
)
#: After 72 minutes and 64 days a tile comes to the slot of another.
SPANS = st.sampled_from((MINUTE, HOUR, 72 * MINUTE, DAY, DAY, 3 * DAY, 64 * DAY))
#: A base that is older may have expired.
LONGEST = 50 * DAY
#: What becomes of a job, the usual twice as often.
DISTURBANCES = (
    *("checkpoint", "kill", "lose the state") * 2,
    *("upgrade", "raise the epoch"),
)
WHICH = st.integers(0, 9)
FEW = st.integers(1, 4)
#: A night that is killed has written some of its repairs.
WRITTEN = st.sampled_from((0, 1, 2, 999, 999))

_shops = itertools.count()


class Job:
    """A streaming job: it folds the log from its `since` on, and writes what each event changes."""

    def __init__(
        self, log: list[Message], now: int, horizon_ms: int, epoch: int, generation: int
    ) -> None:
        self.epoch, self.generation = epoch, generation
        self._log, self._horizon_ms = log, horizon_ms
        self._since = tiles.replay_since(now, horizon_ms)
        first = self._since - MAX_FUTURE_MS
        self._first = sum(message.append_time < first for message in log)
        self._saved = self._first
        self.go_back()

    def read(self, number: int) -> Iterator[Tile]:
        """The tiles that the next messages change, after each of them."""
        for message in self._log[self._at :][:number]:
            before = self._tiles()
            self._fold.add(message)
            yield from sorted(self._tiles() - before, key=repr)
            self._at += 1

    def checkpoint(self) -> None:
        """What was read until now will not be read again."""
        self._saved = self._at

    def go_back(self) -> None:
        """The state of the checkpoint."""
        self._fold, self._at = Fold(DECLARED, self._horizon_ms), self._first
        list(self.read(self._saved - self._first))

    def _tiles(self) -> set[Tile]:
        return {
            replace(one, version=self._version(one))
            for one in self._fold.tiles()
            if one.start >= self._since
        }

    def _version(self, one: Tile) -> Version:
        return Version.of_tile(one.start, self.epoch, one.version.applied, self.generation)


class Shop(RuleBasedStateMachine):
    """A log, the jobs that fold it, the nights that recount it, and one store for all of them."""

    def __init__(self, store: Store, root: Path) -> None:
        super().__init__()
        self._store = store
        self._root = root
        self._name = f"shop-{next(_shops)}/"  # shops share a store and never meet
        self._now = NOON
        self._sent: list[Sent] = []
        self._log: list[Message] = []
        self._recount: Recount | None = None
        #: This shop's part of the store, as a scan found it after the last write.
        self._held: list[Tile] = []

    @initialize(hours=HORIZONS)
    def open(self, hours: int) -> None:
        self._settings = Settings(namespace="shop", lake=self._root, horizon_hours=hours, epoch=0)
        self._jobs = [self._job(epoch=0, generation=0)]

    @rule(who=st.sampled_from(("ann", "bob")), delay=DELAYS, quantity=FEW)
    def buy(self, who: str, delay: int, quantity: int) -> None:
        """Something was bought `delay` ago, and the message arrives now."""
        at, milk = self._now - delay, f"{self._name}milk"
        sent = purchase(self._name + who, milk, at=at, arrives=self._now, quantity=quantity)
        self._arrives(sent)

    @precondition(lambda self: self._sent)
    @rule(which=WHICH)
    def send_again(self, which: int) -> None:
        """A copy of a message arrives now."""
        sent = self._sent[which % len(self._sent)]
        self._arrives(sent.again(after=self._now - sent.arrives))

    @precondition(lambda self: self._now < NOON + LONGEST)
    @rule(span=SPANS)
    def wait(self, span: int) -> None:
        """Time passes; tiles leave H."""
        self._now += span

    @rule(which=WHICH, number=FEW)
    def stream(self, which: int, number: int) -> None:
        """A job reads some messages."""
        self._write(self._chosen(which).read(number))

    @rule(which=WHICH, what=st.sampled_from(DISTURBANCES))
    def disturb(self, which: int, what: str) -> None:
        """A job starts again from its checkpoint or without state, is upgraded, or must yield."""
        job, last = self._chosen(which), self._jobs[-1]
        match what:
            case "checkpoint":
                job.checkpoint()
            case "kill":
                job.go_back()
            case "lose the state":
                self._jobs[self._jobs.index(job)] = self._job(job.epoch, job.generation)
            case "upgrade":
                self._jobs.append(self._job(last.epoch, last.generation + 1))
            case "raise the epoch":
                self._settings = self._settings.model_copy(update={"epoch": last.epoch + 1})
                self._jobs = [self._job(last.epoch + 1, last.generation)]

    @precondition(lambda self: self._log)
    @rule(counts=st.booleans(), which=WHICH, pauses=st.tuples(FEW, FEW), written=WRITTEN)
    def night(self, counts: bool, which: int, pauses: tuple[int, int], written: int) -> None:
        """The log is counted, or was before; the store compared; and some of what differs written.

        Things are bought and streamed meanwhile.
        """
        if counts or not self._recount:
            self._recount = self._count()
        self.buy("ann", 0, 1)
        self.stream(which, pauses[0])
        repairs = self._repairs(self._recount)
        self.stream(which, pauses[1])
        self._write(repairs[:written])

    @precondition(lambda self: any(map(self._owned, self._held)))
    @rule(which=WHICH)
    def go_wrong(self, which: int) -> None:
        """A job with a bug has counted too much in a tile that the next night will own."""
        owned = list(filter(self._owned, self._held))
        wrong = owned[which % len(owned)]
        told = wrong.version
        version = Version.of_tile(wrong.start, told.epoch, told.applied + 2, told.generation)
        self._write([replace(wrong, version=version, body='{"units":99}')])

    def teardown(self) -> None:
        """The shop comes to rest: what the stream owns is right, and all of it after one night."""
        if not self._log:
            return
        self.buy("ann", 0, 1)  # the cut is now
        for job in self._jobs:
            self._write(job.read(len(self._log)))
        expected = recounted(DECLARED, self._log, self._settings.horizon_ms)
        young = [one for one in expected if not self._owned(one)]
        assert self._said(one for one in self._held if not self._owned(one)) == self._said(young)
        self._write(self._repairs(latest := self._count()))
        assert self._said(self._held) == self._said(expected)
        assert self._repairs(latest) == []

    def _count(self) -> Recount:
        """Leaves a recount of the log in the lake."""
        horizon, cut = self._settings.horizon_ms, self._log[-1].append_time
        found = recounted(DECLARED, self._log, horizon)
        done = Recount("a", len(found), 0, {}, cut, horizon, DECLARED.fingerprint)
        keep(Lake(self._root), done, found)
        return done

    def _repairs(self, latest: Recount) -> list[Tile]:
        """What the night writes after it has compared the store with a recount, in one order."""
        written: list[Tile] = []
        with (
            patch.object(reconcile, "time", SimpleNamespace(time_ns=lambda: self._now * 1_000_000)),
            patch.object(self._store, "scan_tiles", lambda: iter(self._held)),
            patch.object(self._store, "write_tiles", written.extend),
        ):
            reconcile.repair(self._settings, Lake(self._root), latest, self._store)
        return sorted(written, key=repr)

    def _job(self, epoch: int, generation: int) -> Job:
        return Job(self._log, self._now, self._settings.horizon_ms, epoch, generation)

    def _chosen(self, which: int) -> Job:
        return self._jobs[which % len(self._jobs)]

    def _arrives(self, sent: Sent) -> None:
        self._sent.append(sent)
        self._log[:] = log_of(self._sent)

    def _write(self, some: Iterable[Tile]) -> None:
        """Writes tiles; what lies in a place of the store may only become newer."""
        self._store.write_tiles(some)
        mine = (one for one in self._store.scan_tiles() if one.entity_id.startswith(self._name))
        before, self._held = self._held, sorted(mine, key=repr)
        versions = {self._place(one): one.version for one in self._held}
        assert all(versions[self._place(one)] >= one.version for one in before)

    def _place(self, one: Tile) -> tuple[str, ...]:
        level, start = one.level, one.start
        slot = str(level.address(start)) if self._store.keeps_all else level.slot(start)
        return (str(one.entity), one.entity_id, level.code, slot)

    def _owned(self, one: Tile) -> bool:
        """Whether the batch layer owns a tile, were something to arrive now and be counted."""
        owned_until = self._now - self._settings.horizon_ms
        return one.level is BASE or one.start + one.level.ms <= owned_until

    def _said(self, some: Iterable[Tile]) -> list[tuple[str, ...]]:
        """What tiles say, those that the store is sure to keep."""
        return sorted(
            (str(t.entity), t.entity_id, t.level.code, str(t.start), str(t.version.applied), t.body)
            for t in some
            if self._is_kept(t)
        )

    def _is_kept(self, one: Tile) -> bool:
        if self._store.keeps_all or one.level is BASE:
            return one.start > self._now - one.level.kept_ms
        return one.start > self._now + MAX_FUTURE_MS - one.level.slots * one.level.ms
