"""Follows `@champion`: downloads aside, verifies, warms, swaps; keeps the old one when in doubt."""

from __future__ import annotations

import logging
import math
import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from feature_store.declaration import Declaration
from feature_store.locks import alone, beside
from feature_store.stores.base import UserState
from models.bundle import Bundle, BundleRefused
from models.manifest import BundleDamaged
from models.registry import RegistryUnavailable, Version
from serving.copies import Copies, Followed
from serving.items import Items, Live
from serving.logs import LOGGER
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)

NO_BUNDLE: Final = "no bundle yet: run `millrace nightly`"
#: A champion that does not come whole is left alone for so long (s), then twice as long, and so on.
#: So it serves again within as long as the fault lasted, and a bundle that was published damaged
#: does not keep the network busy.
PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A version that did not come, or is refused, and until when (monotonic, s) it is left alone.

    `seconds` is infinite for one that no other copy can make right.
    """

    number: str
    until: float
    seconds: float


class Champions(Protocol):
    """Where the champion is announced; `models.announced.Announced` is one."""

    def champion(self) -> Version | None:
        """The version named @champion, if any; raises `RegistryUnavailable`."""

    def fetch(self, version: Version, into: Path) -> Path:
        """The version's bundle under `into`; raises `RegistryUnavailable`."""


class Champion:
    """The bundle that serves, swapped whole; `live` is None until there is one."""

    def __init__(
        self, root: Path, declaration: Declaration, items: Items, telemetry: Telemetry,
        registry: Champions,
    ) -> None:  # fmt: skip
        self._copies = Copies(root)
        self._declaration = declaration
        self._items = items
        self._telemetry = telemetry
        self._registry = registry
        self._pause: Pause | None = None
        self._trouble = ""
        self._followed: Followed | None = None
        self._held = ExitStack()
        self.live: Live | None = None
        #: Whether MLflow answered the last time; None before it was asked.
        self.registry_answers: bool | None = None

    @property
    def reason(self) -> str:
        """Why the bundle that should serve does not; "" when all is well."""
        return self._trouble or ("" if self.live else NO_BUNDLE)

    def start_from_disk(self) -> None:
        """Serves the bundle that served last or, failing that, the newest that verifies."""
        self._followed = self._copies.mark().followed
        try:
            paths = self._copies.best_first()
        except OSError as error:
            self._trouble = f"{self._copies.root} cannot be read: {error}"
            self._warn("no bundle on disk", reason=self._trouble)
            return
        for path in paths:
            if self._adopt(path) is None:
                return

    def remembered(self, actor: str) -> int | None:
        """The newest event (ms) of an actor that the bundle was made from; None for a stranger."""
        if self.live is None:
            return None
        own = self.live.bundle.sources.own
        row = own.row_of.get(actor)
        return None if row is None else int(own.newest[row])

    def turn(self) -> None:
        """Looks at the alias once and swaps if it has moved."""
        try:
            version = self._registry.champion()
        except RegistryUnavailable as error:
            self.registry_answers = False
            self._telemetry.failures.labels("mlflow").inc()
            self._warn("registry unavailable", reason=str(error))
            return
        self.registry_answers = True
        if version and self.live and version.bundle_id == self.live.bundle.id:
            self._remember(self.live.bundle, version)
            self._as_announced()
        elif version is None:
            self._as_announced()
        else:
            self._await(version)

    def _await(self, version: Version) -> None:
        """Follows, unless it is too early, or another process of this machine is at it.

        The first one fetches; the others look again, at the alias too, and find the bundle there.
        None takes a damaged copy away while another reads its successor.
        """
        self._telemetry.awaited.set(1)
        pause = self._pause_of(version)
        if pause is None:  # else what was wrong with it stands until it comes
            self._trouble = f"version {version.version} is on its way"
        elif time.monotonic() < pause.until:
            return
        root = self._copies.root
        with suppress(OSError):  # the fetch will say so
            root.mkdir(parents=True, exist_ok=True)
        with alone(root, wait=False) as mine:
            if mine:
                self._follow(version)

    def _follow(self, version: Version) -> None:
        """A damaged copy is removed and fetched once more; then the version has to wait."""
        for _ in range(2):
            try:
                path = self._registry.fetch(version, self._copies.root)
            except RegistryUnavailable as error:
                self._trouble = str(error)
                break
            refused = self._adopt(path, version)
            if refused is None:
                self._as_announced()
                self._prune(path.name)
                return
            if not isinstance(refused, BundleDamaged):
                self._leave_alone(version, for_good=True)
                return
            shutil.rmtree(path, ignore_errors=True)
        self._leave_alone(version)

    def _as_announced(self) -> None:
        """What serves is what the registry names."""
        self._pause, self._trouble = None, ""
        self._telemetry.awaited.set(0)

    def _pause_of(self, version: Version) -> Pause | None:
        return self._pause if self._pause and self._pause.number == version.version else None

    def _leave_alone(self, version: Version, for_good: bool = False) -> None:
        before = self._pause_of(version)
        seconds = min(2 * before.seconds, LONGEST_PAUSE_S) if before else PAUSE_S
        if for_good:
            seconds = math.inf
        self._pause = Pause(version.version, time.monotonic() + seconds, seconds)
        again = "when @champion moves" if for_good else f"in {seconds:.0f} s"
        self._warn(
            "champion does not serve", version=version.version, bundle=version.bundle_id,
            reason=self._trouble, again=again,
        )  # fmt: skip

    def _adopt(self, path: Path, version: Version | None = None) -> BundleRefused | None:
        """Serves the bundle, or says why not. It is held before it is read, and while it serves."""
        with ExitStack() as held:
            held.enter_context(beside(path))
            try:
                bundle = Bundle.load(path, self._declaration)
                if bundle.id != path.name:
                    raise BundleDamaged(f"{path.name} holds bundle {bundle.id}")
                self._is_no_old_one(bundle, version)
                warm(bundle, self._declaration)
            except BundleRefused as refused:
                self._trouble = f"bundle {path.name} refused: {refused}"
                self._telemetry.refused.inc()
                self._warn("bundle refused", bundle=path.name, reason=str(refused))
                return refused
            self._swap(bundle)
            self._remember(bundle, version)
            before, self._held = self._held, held.pop_all()
        before.close()
        return None

    def _is_no_old_one(self, bundle: Bundle, version: Version | None) -> None:
        """Raises `BundleRefused` for an old bundle that comes back as a new version.

        Going back to an earlier version is a rollback, and welcome.
        """
        before, cut = self._followed, bundle.sources.cut_ms
        if version and before and _later(version.version, before.number) and cut < before.cut_ms:
            raise BundleRefused(
                f"version {version.version} is newer than {before.number}, which serves, but "
                f"learned up to {cut} ms only, not {before.cut_ms}: an old bundle again?"
            )

    def _swap(self, bundle: Bundle) -> None:
        if self.live:
            self._telemetry.bundle.labels(self.live.bundle.id).set(0)
        self.live = self._items.adopt(bundle)
        self._telemetry.bundle.labels(bundle.id).set(1)
        self._telemetry.compiled.set(bundle.ranker is not None and bundle.ranker.compiled)
        self._telemetry.bundle_cut.set(bundle.sources.cut_ms / 1_000)
        self._say("bundle serves", bundle=bundle.id)

    def _remember(self, bundle: Bundle, version: Version | None) -> None:
        """Writes the marker; a bundle from the disk has the version that the marker named."""
        if version:
            followed = Followed(version.version, bundle.sources.cut_ms)
            if followed == self._followed:
                return
            self._followed = followed
        elif self._copies.mark().bundle == bundle.id:
            return
        try:
            self._copies.note(bundle.id, self._followed)
        except OSError as error:
            self._warn("champion not remembered", reason=str(error))

    def _prune(self, serves: str) -> None:
        """Old bundles go when a new one has come."""
        try:
            for bundle in self._copies.prune(serves):
                self._say("bundle dropped", bundle=bundle)
        except OSError as error:
            self._warn("old bundles stay", reason=str(error))

    def _say(self, message: str, **fields: str) -> None:
        log.info(message, extra={"fields": fields})

    def _warn(self, message: str, **fields: str) -> None:
        log.warning(message, extra={"fields": fields})


class RankerBroken(BundleRefused):
    """A bundle that loads but does not rank."""


def warm(bundle: Bundle, declaration: Declaration) -> None:
    """Answers one request for nobody, so that a bundle that cannot is never swapped in.

    Raises `RankerBroken`.
    """
    try:
        _, scores = bundle.answer(declaration, UserState(""), bundle.sources.cut_ms)
    except Exception as error:  # whatever is wrong with it, the bundle at hand is better
        raise RankerBroken(repr(error)) from error
    if not np.isfinite(scores).all():
        raise RankerBroken("its scores are not finite")


def _later(one: str, other: str) -> bool:
    """Whether a version was registered after another; MLflow counts them."""
    return one.isdigit() and other.isdigit() and int(one) > int(other)
