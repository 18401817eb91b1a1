"""One request for recommendations, in five steps: features, candidates, rules, rank, answer."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from feature_store.declaration import Declaration
from feature_store.stores.base import UserState
from feature_store.vectors import Floats
from models.bundle import Bundle
from models.retrieval import Candidates
from serving.answers import Recommendations, RecommendedItem
from serving.candidates import allowed, gather, newcomers
from serving.catalogue import Card, Catalogue
from serving.champion import Champion
from serving.features import FeatureReader, Features
from serving.impressions import Impression, ImpressionLog, Shown
from serving.items import Items, Live
from serving.ranking import Ranked, rank
from serving.reasons import TRENDING, Reasons
from serving.rules import Mode, Rules, diversify
from serving.telemetry import Telemetry
from serving.trending import Trending

#: One place in this many may go to a trending item that no bundle knows yet.
NEWCOMER_SHARE = 10
#: One leaf category gets at most this part of a list, while there is anything else.
CATEGORY_SHARE = 3


@dataclass(frozen=True, slots=True)
class Ask:
    """What was asked for."""

    actor: str
    limit: int
    mode: Mode = Mode.MIXED
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Pick:
    """One place of the list; `vector` is (columns,), None where ranked without."""

    card: Card
    score: float
    sources: tuple[str, ...]
    reason: str
    vector: Floats | None = None


@dataclass(frozen=True)
class Recommender:
    """The five steps over the parts that serve them."""

    declaration: Declaration
    features: FeatureReader
    champion: Champion
    items: Items
    trending: Trending
    catalogue: Catalogue
    impressions: ImpressionLog
    telemetry: Telemetry
    blocked: frozenset[str]

    def recommend(self, ask: Ask) -> Recommendations:
        """Always answers; what is missing is said in `degraded`."""
        now = time.time_ns() // 1_000_000
        with self.telemetry.step("features"):
            features = self.features.read(ask.actor)
        live = self.champion.live
        if live is None:
            picks, lacking = self._impersonal(ask, features.user, now), ["bundle"]
        else:
            picks, lacking = self._personal(ask, features.user, live, now)
        with self.telemetry.step("answer"):
            lacking = [*features.failed, *lacking, *self._stale()]
            answer = self._answer(ask, features, live, picks, lacking, now)
            self._log(ask, answer, picks)
        return answer

    def _personal(
        self, ask: Ask, user: UserState, live: Live, now: int
    ) -> tuple[list[Pick], list[str]]:
        bundle, step = live.bundle, self.telemetry.step
        with step("candidates"):
            found = gather(bundle, user, now, self.trending, ask.category)
        with step("rules"):
            rules = self._rules(ask, user, bundle, now)
            found = allowed(found, bundle, self.catalogue, rules, ask.limit)
        with step("rank"):
            ranked = rank(self.declaration, live, user, found, now, self.telemetry)
        with step("diversity"):
            new = newcomers(bundle, self.trending, self.catalogue, rules)
            picks = self._picks(ask, user, bundle, found, ranked, new)
        return picks, list(ranked.degraded)

    def _impersonal(self, ask: Ask, user: UserState, now: int) -> list[Pick]:
        """Without a bundle: what is trending, less what the rules forbid."""
        rules = self._rules(ask, user, None, now)
        return _new_picks(newcomers(None, self.trending, self.catalogue, rules)[: ask.limit])

    def _rules(self, ask: Ask, user: UserState, bundle: Bundle | None, now: int) -> Rules:
        before: Sequence[str] = ()
        if bundle and ask.mode is not Mode.MIXED:
            positions, _ = bundle.sources.own.of(user.actor, (), bundle.index_of, now)
            before = [bundle.item_ids[position] for position in positions]
        return Rules.build(ask.mode, ask.category, self.blocked, user, before, now)

    def _picks(
        self, ask: Ask, user: UserState, bundle: Bundle,
        found: Candidates, ranked: Ranked, new: Sequence[Card],
    ) -> list[Pick]:  # fmt: skip
        """The best rows with their reasons; newcomers take the last few places, or empty ones."""

        def card(row: int) -> Card:
            return self._card(bundle.item_ids[found.positions[row]])

        spare = ask.limit - len(found.positions)
        places = min(len(new), max(ask.limit // NEWCOMER_SHARE, spare))
        rows = diversify(
            ranked.order.tolist(),
            lambda row: "" if ask.category else _leaf(card(row)),
            ask.limit - places,
            max(2, ask.limit // CATEGORY_SHARE),
        )
        reasons = Reasons(bundle, self.catalogue, user)
        return [self._pick(card(row), row, found, ranked, reasons) for row in rows] + _new_picks(
            new[:places]
        )

    def _pick(
        self, card: Card, row: int, found: Candidates, ranked: Ranked, reasons: Reasons
    ) -> Pick:
        sources = found.offered_by(row)
        return Pick(
            card=card,
            score=float(ranked.scores[row]),
            sources=sources,
            reason=reasons.of(card.item_id, int(found.positions[row]), sources),
            vector=None if ranked.vectors is None else ranked.vectors[row].copy(),
        )

    def _card(self, item_id: str) -> Card:
        return self.catalogue.get(item_id) or Card(item_id, item_id)

    def _stale(self) -> list[str]:
        """What the background has not been able to keep fresh."""
        parts = {"trending": self.trending.fresh, "item_features": self.items.complete}
        return [name for name, fresh in parts.items() if not fresh]

    def _answer(
        self, ask: Ask, features: Features, live: Live | None,
        picks: Sequence[Pick], lacking: Sequence[str], now: int,
    ) -> Recommendations:  # fmt: skip
        last = features.user.last_event
        for part in lacking:
            self.telemetry.degraded.labels(part).inc()
        if last:
            self.telemetry.feature_age.observe(max(0, now - last.event_time) / 1_000)
        counts = Counter(source for pick in picks for source in pick.sources)
        for source, count in counts.items():
            self.telemetry.offered.labels(source).inc(count)
        return Recommendations(
            user_id=ask.actor,
            items=[_item(pick) for pick in picks],
            bundle=live.bundle.id if live else None,
            impression_id=secrets.token_hex(8),
            generated_at=now,
            last_event_id=last.event_id if last else None,
            feature_as_of=last.event_time if last else None,
            feature_age_ms=now - last.event_time if last else None,
            features_from=features.store or None,
            degraded=list(lacking),
            sources=dict(counts),
        )

    def _log(self, ask: Ask, answer: Recommendations, picks: Sequence[Pick]) -> None:
        shown = tuple(Shown(p.card.item_id, p.score, p.sources, p.vector) for p in picks)
        self.impressions.add(
            Impression(
                impression_id=answer.impression_id,
                actor=ask.actor,
                shown_at=answer.generated_at,
                bundle=answer.bundle,
                mode=ask.mode,
                degraded=tuple(answer.degraded),
                columns=self.declaration.fingerprint,
                items=shown,
            )
        )


def _new_picks(cards: Sequence[Card]) -> list[Pick]:
    return [Pick(card, 0.0, ("trending",), TRENDING) for card in cards]


def _leaf(card: Card) -> str:
    return card.category[-1] if card.category else ""


def _item(pick: Pick) -> RecommendedItem:
    card = pick.card
    return RecommendedItem(
        id=card.item_id,
        title=card.title,
        category=list(card.category),
        brand=card.brand,
        price=card.price,
        score=round(pick.score, 6),
        sources=list(pick.sources),
        reason=pick.reason,
    )
