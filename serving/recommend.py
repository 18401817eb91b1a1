"""One request for recommendations, in five steps: features, candidates, rules, rank, answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import numpy as np

from feature_store.declaration import Declaration
from feature_store.events import anonymous
from serving import tracing
from serving.advance import Advance
from serving.answers import Recommendations, RecommendedItem, WhyAnswer
from serving.ask import Ask, Context, next_cursor
from serving.cache import Results
from serving.candidates import allowed, fitting, fitting_first, gather, newcomers
from serving.catalogue import Card, Cards, Catalogue
from serving.champion import Champion
from serving.curation import Curation, boost
from serving.explain import explain_items, explain_list
from serving.features import FeatureReader
from serving.impressions import Impression, ImpressionLog, Shown
from serving.items import Items, Live
from serving.outcome import Outcome, Pick, Ranking, Situation
from serving.ranking import rank
from serving.reasons import PINNED, TRENDING, Reasons
from serving.rules import Caps, Past, Rules, in_cart
from serving.selection import Page, select, varied
from serving.steps import Steps
from serving.telemetry import Telemetry
from serving.trending import Trending
from serving.why import why

#: Diversity chooses among so many times the places to fill.
POOL: Final = 5
NOTHING: Final = np.zeros(0, np.int32)


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
    curation: Curation
    caps: Caps
    results: Results
    advance: Advance

    def recommend(self, ask: Ask) -> Recommendations:
        """Always answers; what is missing is said in `degraded`."""
        outcome = self.results.outcome(self._situation(ask), self._made)
        with outcome.situation.steps("answer"):
            answer = self._answer(outcome)
            self._log(outcome, answer)
            self._count(outcome, answer)
        _tell(outcome, answer)
        return answer

    def why(self, ask: Ask, item_id: str) -> WhyAnswer:
        """Why an item is, or is not, in the answer to `ask`; shows nothing, so logs nothing."""
        return why(self.outcome(ask), item_id, self.catalogue)

    def outcome(self, ask: Ask) -> Outcome:
        """The steps up to the list itself; logs nothing."""
        return self._made(self._situation(ask))

    def _made(self, situation: Situation) -> Outcome:
        live, steps = situation.live, situation.steps
        ranking = self._rank(situation, live) if live else None
        with steps("diversity"):
            others = self._others(situation)
            page = self._page(situation, ranking, others)
            picks = self._picks(situation, ranking, page, others)
        failed = ranking.ranked.degraded if ranking else ("bundle",)
        lacking = (*situation.features.failed, *failed, *self._stale())
        return Outcome(situation, ranking, page, picks, lacking)

    def _situation(self, ask: Ask) -> Situation:
        now, live, steps = time.time_ns() // 1_000_000, self.champion.live, Steps(self.telemetry)
        with steps("features"):
            features = self.features.of(ask.actor, ask.given, self.results.shape(ask))
        recents, about = features.user.recents, ask.about
        if ask.context is Context.CART:
            about += in_cart(recents, now)
        past = Past.of(ask, recents, live.bundle if live else None)
        rules = Rules.build(ask, about, self.curation.blocked, recents, past, now)
        curated_at = self.curation.changed_at
        return Situation(ask, now, features, live, about, rules, curated_at, steps)

    def _rank(self, situation: Situation, live: Live) -> Ranking:
        ask, user, step = situation.ask, situation.features.user, situation.steps
        bundle, now, near = live.bundle, situation.now, NOTHING
        with step("candidates"):
            offered = gather(bundle, user, now, self.trending, ask.filter)
            if situation.about:
                offered, near = fitting(offered, bundle, situation.about)
        with step("rules"):
            # Diversity needs something to choose from.
            places = ask.limit * ask.page * (POOL if ask.diversity else 1)
            kept = allowed(offered, bundle, self.catalogue, situation.rules, places)
            cards = Cards(self.catalogue, bundle.item_ids, kept.positions)
        with step("rank"):
            ranked = rank(self.declaration, live, user, kept, now, self.telemetry)
            best = fitting_first(ranked.order, kept, near).tolist()
            best = boost(best, cards, self.curation.now)
        return Ranking(offered, kept, cards, ranked, best)

    def _others(self, situation: Situation) -> dict[str, Pick]:
        """By item, best first: without a bundle lists made in advance; what no bundle knows yet."""
        live, found = situation.live, dict[str, Pick]()
        bundle = live.bundle if live else None
        if live is None:
            found |= {pick.card.item_id: pick for pick in self.advance.picks(situation)}
        for card in newcomers(bundle, self.trending, self.catalogue, situation.rules):
            found.setdefault(card.item_id, Pick(card, 0.0, ("trending",), TRENDING))
        return found

    def _page(
        self, situation: Situation, ranking: Ranking | None, others: Mapping[str, Pick]
    ) -> Page:
        """The ranking made diverse, with what the shop pins and what was not ranked."""
        ask, live = situation.ask, situation.live
        order: Sequence[int] = ranking.best if ranking else ()
        if ranking and live and ask.diversity:
            kinds = live.bundle.columns.category[ranking.kept.positions]
            order = varied(order, kinds, ask.diversity, POOL * ask.limit * ask.page)
        new = [pick.card for pick in others.values()]
        cards = ranking.cards if ranking else {}
        return select(ask, self.caps, order, cards, new, self._pinned(situation.rules))

    def _picks(
        self, situation: Situation, ranking: Ranking | None, page: Page, others: Mapping[str, Pick]
    ) -> list[Pick]:
        """The chosen rows with their reasons, then what was not ranked."""
        pinned = [Pick(card, 0.0, ("pinned",), PINNED) for card in page.pinned]
        new = [others[card.item_id] for card in page.new]
        if ranking is None or situation.live is None:
            return pinned + new
        user, bundle = situation.features.user, situation.live.bundle
        positions = ranking.kept.positions[list(page.rows)]
        local = self.trending.local(user)
        reasons = Reasons(bundle, self.catalogue, user, positions, situation.about, local)
        return pinned + _ranked(ranking, page.rows, reasons) + new

    def _pinned(self, rules: Rules) -> list[Card]:
        cards = map(self.catalogue.get, self.curation.now.pinned)
        return [card for card in cards if card and rules.allow(card)]

    def _stale(self) -> list[str]:
        """What the background has not been able to keep fresh."""
        parts = {"trending": self.trending.fresh, "item_features": self.items.complete}
        return [name for name, fresh in parts.items() if not fresh]

    def _answer(self, outcome: Outcome) -> Recommendations:
        situation = outcome.situation
        ask, last = situation.ask, situation.features.user.last_event
        items = [_item(pick) for pick in outcome.picks]
        if ask.explain:
            items = explain_items(items, outcome)
        return Recommendations(
            user_id=ask.actor or None,
            items=items,
            bundle=situation.live.bundle.id if situation.live else None,
            impression_id=outcome.impression_id,
            generated_at=situation.now,
            last_event_id=last.event_id if last else None,
            feature_as_of=last.event_time if last else None,
            feature_age_ms=situation.now - last.event_time if last else None,
            features_from=situation.features.store or None,
            degraded=list(outcome.lacking),
            sources=dict(Counter(s for pick in outcome.picks for s in pick.sources)),
            next_cursor=next_cursor(ask, [item.id for item in items], outcome.page.skipped),
            explain=explain_list(outcome, self.catalogue) if ask.explain else None,
        )

    def _count(self, outcome: Outcome, answer: Recommendations) -> None:
        for part in answer.degraded:
            self.telemetry.degraded.labels(part).inc()
        if answer.feature_age_ms is not None:
            self.telemetry.feature_age.observe(max(0, answer.feature_age_ms) / 1_000)
        for source, count in answer.sources.items():
            self.telemetry.source[source].inc(count)

    def _log(self, outcome: Outcome, answer: Recommendations) -> None:
        ask = outcome.situation.ask
        shown = tuple(Shown(p.card.item_id, p.score, p.sources, p.vector) for p in outcome.picks)
        self.impressions.add(
            Impression(
                impression_id=answer.impression_id,
                actor=ask.actor or anonymous(answer.impression_id),
                shown_at=answer.generated_at,
                bundle=answer.bundle,
                mode=ask.mode,
                degraded=tuple(answer.degraded),
                made_as=outcome.made_as,
                plain=ask.plain,
                columns=self.declaration.fingerprint,
                items=shown,
            )
        )


def _tell(outcome: Outcome, answer: Recommendations) -> None:
    facts = {
        "bundle": answer.bundle,
        "features_from": answer.features_from,
        "feature_age_ms": answer.feature_age_ms,
        "degraded": answer.degraded,
        "made_as": outcome.made_as,
        **{f"step.{name}_ms": ms for name, ms in outcome.situation.steps.ms.items()},
    }
    tracing.tell(answer.last_event_id, facts)


def _ranked(ranking: Ranking, rows: Sequence[int], reasons: Reasons) -> list[Pick]:
    """The rows of a ranking as places of a list, with all that is told and logged of them."""
    kept, ranked, chosen = ranking.kept, ranking.ranked, list(rows)
    offered = kept.offered_by(chosen)
    vectors = repeat(None) if ranked.vectors is None else ranked.vectors[chosen]
    scores, positions = ranked.scores[chosen].tolist(), kept.positions[chosen].tolist()
    picks = []
    for row, score, position, sources, vector in zip(
        chosen, scores, positions, offered, vectors, strict=False
    ):
        card = ranking.cards[row]
        reason = reasons.of(card.item_id, position, sources)
        picks.append(Pick(card, score, sources, reason, row, vector))
    return picks


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
