"""Everything the routes need, put together once and passed to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from feature_store.declaration import Declaration
from feature_store.stores.quota import LocalQuotas, Quota, Quotas
from serving.advance import Advance
from serving.audit import Audit
from serving.background import Loop
from serving.cache import Results
from serving.catalogue import Catalogue
from serving.champion import Champion, Champions
from serving.curation import Curation
from serving.drain import Drain
from serving.features import FeatureReader
from serving.flights import Flights
from serving.guard import Ladder
from serving.impressions import ImpressionLog
from serving.items import Items
from serving.keys import KeyRing
from serving.letters import DeadLetters, Letters
from serving.limits import Limiter
from serving.people import People
from serving.publisher import Publisher
from serving.recommend import Recommender
from serving.rules import Caps
from serving.security import Protection
from serving.settings import ServingSettings
from serving.telemetry import Telemetry
from serving.trending import Trending
from serving.units import NEEDS

#: Dead letters are counted this often.
LETTERS_S = 10.0


@dataclass(frozen=True)
class Outside:
    """What the process depends on: two ladders of stores, Kafka, the registry, a directory, quotas.

    `stores` answer requests within deadlines; `patient_stores` feed the background refreshers.
    `connecting` are loops that run until a dependency is there.
    """

    stores: Ladder
    patient_stores: Ladder
    publisher: Publisher
    registry: Champions
    bundles: Path
    letters: Letters
    connecting: tuple[Loop, ...] = ()
    quotas: Quotas = field(default_factory=LocalQuotas)


@dataclass(frozen=True)
class Parts:
    """The running parts of one API process."""

    outside: Outside
    rules: ServingSettings
    telemetry: Telemetry
    features: FeatureReader
    catalogue: Catalogue
    curation: Curation
    items: Items
    trending: Trending
    champion: Champion
    impressions: ImpressionLog
    recommender: Recommender
    protection: Protection
    dead_letters: DeadLetters
    people: People
    drain: Drain
    loops: tuple[Loop, ...]

    @classmethod
    def assemble(
        cls,
        declaration: Declaration,
        rules: ServingSettings,
        telemetry: Telemetry,
        outside: Outside,
    ) -> Parts:
        """Puts the parts together; nothing runs yet."""
        catalogue = Catalogue()
        items = Items(declaration, catalogue, outside.patient_stores, rules.refresh_s, telemetry)
        trending = Trending(outside.patient_stores, items.want)
        champion = Champion(outside.bundles, declaration, items, telemetry, outside.registry)
        impressions = ImpressionLog(outside.publisher, telemetry, rules.impressions_queued)
        features = FeatureReader(outside.stores, champion.remembered)
        dead_letters = DeadLetters(outside.letters)
        curation = Curation(outside.patient_stores, rules.blocked)
        protection = _protection(rules, telemetry, outside.quotas)
        results = Results(
            outside.stores, catalogue, telemetry, rules.result_s, Flights(),
            lambda: _stale(trending, items),
        )  # fmt: skip
        return cls(
            outside=outside,
            rules=rules,
            telemetry=telemetry,
            features=features,
            catalogue=catalogue,
            curation=curation,
            items=items,
            trending=trending,
            champion=champion,
            impressions=impressions,
            recommender=Recommender(
                declaration, features, champion, items, trending, catalogue, impressions,
                telemetry, curation, Caps(rules.category_share, rules.brand_share), results,
                Advance(outside.stores, catalogue, telemetry),
            ),
            protection=protection,
            dead_letters=dead_letters,
            people=People(),
            drain=Drain(rules.drain_s),
            loops=(
                *outside.connecting,
                Loop("keys", rules.refresh_s, protection.keys.refresh, telemetry),
                *(
                    Loop(name, period_s, turn, telemetry)
                    for name, period_s, turn in (
                        ("trending", rules.refresh_s, trending.turn),
                        ("items", rules.refresh_s, items.turn),
                        ("champion", rules.champion_s, champion.turn),
                        ("curation", rules.refresh_s, curation.turn),
                    )
                    if name in NEEDS[rules.only]
                ),
                Loop("dead letters", LETTERS_S, dead_letters.turn, telemetry),
                *(
                    [Loop("gauges", rules.refresh_s, telemetry.turn, telemetry)]
                    if telemetry.shared
                    else []
                ),
            ),
        )  # fmt: skip

    def needs(self, part: str) -> bool:
        """Whether what this process serves needs a part (see `units.NEEDS`)."""
        return part in NEEDS[self.rules.only]

    def start(self) -> None:
        """Loads keys and the bundle on disk, then lets the background catch up with the world."""
        self.protection.start()
        if self.needs("champion"):
            self.champion.start_from_disk()
        self.impressions.start()
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """Stops the background, sends what is left, disconnects."""
        for loop in self.loops:
            loop.stop()
        for loop in self.loops:
            loop.join()
        self.impressions.stop()
        self.protection.limiter.close()
        self.outside.publisher.close()
        self.outside.stores.close()
        self.outside.patient_stores.close()


def _stale(trending: Trending, items: Items) -> list[str]:
    fresh = {"trending": trending.fresh, "item_features": items.complete}
    return [name for name, good in fresh.items() if not good]


def _protection(rules: ServingSettings, telemetry: Telemetry, quotas: Quotas) -> Protection:
    deadline_s = rules.redis_deadline_ms / 2_000  # the user's features want the other half
    return Protection(
        access=rules.access,
        quota=Quota(rules.per_s, rules.burst),
        keys=KeyRing(rules.keys),
        limiter=Limiter(quotas, telemetry, deadline_s, rules.pause_s, rules.workers),
        audit=Audit(rules.audit),
        telemetry=telemetry,
    )


async def parts_of(request: Request) -> Parts:
    """The parts of the app that got the request."""
    parts: Parts = request.app.state.parts
    return parts


Running = Annotated[Parts, Depends(parts_of)]
