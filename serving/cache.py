"""The result cache: a list made a moment ago is good again while what it was made of is the same.

It lies in Redis beside the user's features (`recommendations:user:{id}`), one field per kind of
request, and comes with them in one round trip. A result is taken only

- if its token fits: the same bundle, interactions, profile and rules, to the letter;
- while it is young, by the clock of this process;
- if every item of it may still be shown, by the catalogue and the rules of this moment. (An item
  that can be had again is back once the list is old.)
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from feature_store.stores.base import StoreUnavailable
from serving.ask import Ask
from serving.catalogue import Catalogue
from serving.flights import Flights
from serving.guard import Ladder
from serving.outcome import Outcome, Pick, Situation
from serving.selection import Page
from serving.telemetry import Telemetry

#: In the last part of its life a result is made anew by one request in some, so that the requests
#: of several processes do not all find it expired at once.
EARLY: Final = 0.1
#: A request waits at most this long for another that makes the same list, then makes its own.
PATIENCE_S: Final = 0.25


@dataclass(frozen=True)
class Results:
    """Kept results over a ladder's first store; with `good_for_s` of 0, none."""

    stores: Ladder
    catalogue: Catalogue
    telemetry: Telemetry
    good_for_s: float
    flights: Flights[Outcome]
    #: What the background has not been able to keep fresh, at this moment.
    stale: Callable[[], Sequence[str]]

    def shape(self, ask: Ask) -> str:
        """The name of the kind of request, "" for one that is always answered anew."""
        if not self.good_for_s or not ask.actor or ask.explain or ask.given is not None:
            return ""
        kind = [
            ask.limit, ask.mode, ask.filter, ask.context, ask.about, sorted(ask.exclude),
            ask.page, sorted(ask.shown), ask.diversity,
        ]  # fmt: skip
        return _digest(orjson.dumps(kind))

    def outcome(self, situation: Situation, make: Callable[[Situation], Outcome]) -> Outcome:
        """The kept outcome while it is true, or what `make` makes of the situation."""
        shape = self.shape(situation.ask)
        if not shape or situation.live is None:
            return make(situation)
        token = self._token(situation)
        kept = self._kept(situation, token)
        if kept:
            return self._count("hit", kept)
        key = f"{situation.ask.actor}\n{shape}\n{token}"
        outcome, own = self.flights.run(key, lambda: make(situation), PATIENCE_S)
        if not own:
            return self._count("shared", outcome.for_another(situation))
        self._keep(outcome, shape, token)
        return self._count("made", outcome)

    def _token(self, situation: Situation) -> str:
        """Over everything that makes two lists differ, but for the age of what they are made of."""
        user, live, rules = situation.features.user, situation.live, situation.rules
        said = [
            live.bundle.id if live else None,
            user.recents,
            user.profile,
            situation.about,
            situation.curated_at,
            [[reason, sorted(items)] for reason, items in rules.forbidden],
        ]
        return _digest(orjson.dumps(said, default=tuple, option=orjson.OPT_SORT_KEYS))

    def _kept(self, situation: Situation, token: str) -> Outcome | None:
        said = _read(situation.features.user.result)
        if said is None or said.token != token:
            return None
        age_s = (situation.now - said.at) / 1_000
        # No secret: a die that several processes do not throw alike.
        if not 0 <= age_s < self.good_for_s * (1 - EARLY * random.random()):
            return None
        picks = [pick for pick in starmap(self._pick, said.picks) if pick]
        if len(picks) < len(said.picks):
            return None
        if not all(situation.rules.allow(pick.card) for pick in picks):
            return None
        page = Page(skipped=said.skipped)
        lacking = (*situation.features.failed, *self.stale())
        return Outcome(situation, None, page, picks, lacking, made_as=said.impression)

    def _pick(
        self, item_id: str, score: float, sources: tuple[str, ...], reason: str
    ) -> Pick | None:
        card = self.catalogue.get(item_id)
        return Pick(card, score, sources, reason) if card else None

    def _keep(self, outcome: Outcome, shape: str, token: str) -> None:
        """Only what lacks nothing, of a user whom the first store knows: it is read from there."""
        situation = outcome.situation
        if outcome.lacking or situation.features.store != self.stores.first.name:
            return
        said = {
            "token": token,
            "at": situation.now,
            "impression": outcome.impression_id,
            "skipped": outcome.page.skipped,
            "picks": [[p.card.item_id, p.score, p.sources, p.reason] for p in outcome.picks],
        }
        result = orjson.dumps(said).decode()
        try:
            self.stores.first.call(
                lambda store: store.keep_result(situation.ask.actor, shape, result)
            )
        except StoreUnavailable:
            self._count("not_kept", outcome)

    def _count(self, fate: str, outcome: Outcome) -> Outcome:
        self.telemetry.results.labels(fate).inc()
        return outcome


class _Kept(BaseModel):
    """A list as it is kept; each pick is (item id, score, sources, reason)."""

    model_config = ConfigDict(allow_inf_nan=False)

    token: str
    at: int
    impression: str
    skipped: tuple[str, ...]
    picks: tuple[tuple[str, float, tuple[str, ...], str], ...]


def _read(result: str | None) -> _Kept | None:
    """What was kept, or None for what this version of the code does not read."""
    try:
        return _Kept.model_validate_json(result) if result else None
    except ValidationError:
        return None


def _digest(said: bytes) -> str:
    return hashlib.blake2b(said, digest_size=12).hexdigest()
