"""Lists made in advance: what to answer when everything that could compute one is down.

For each person who came lately a list goes to Cassandra, and what sells goes to every store. An
edition is written first and published last, so a reader meets the old one or the new one, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

import numpy as np

from batch.history import History
from batch.learn import Teacher
from batch.lists import ranked
from batch.reconcile import STORES
from batch.training_set import Basket
from feature_store.settings import Settings
from feature_store.stores.base import Listed, Store, StoreUnavailable, TrendingList
from feature_store.stores.cassandra import CassandraStore
from feature_store.tiles import DAY_MS
from feature_store.trending import EVERYWHERE, POPULAR
from models.bundle import Bundle

#: Who came within so many days gets a list, the latest visitors first, and at most so many people.
ACTIVE_DAYS: Final = 28
MOST_PEOPLE: Final = 20_000
#: Items in a person's list, and in a popular list.
LONG: Final = 50
POPULAR_LONG: Final = 200
#: People whose lists are computed and written together: bounds memory.
CHUNK: Final = 500


def precompute(
    settings: Settings, teacher: Teacher, bundle: Bundle, made_at: int
) -> tuple[list[str], list[str]]:
    """Writes an edition made at `made_at` (ms): what was written where, and which stores missed it.

    A store that is down keeps the edition it has until a rerun, or the next night.
    """
    lists = popular(bundle, made_at)
    said, missed = list[str](), list[str]()
    for kept in STORES:
        try:
            with closing(kept.connect(settings)) as store:
                said += _write(store, teacher, bundle, lists)
        except StoreUnavailable as error:
            said.append(f"lists NOT written, {error}")
            missed.append(kept.name)
    return said, missed


def _write(store: Store, teacher: Teacher, bundle: Bundle, lists: TrendingList) -> Iterator[str]:
    store.publish_trending(lists)
    yield f"popular lists to {store.name}"
    if store.name != CassandraStore.name:
        return
    people, written = active(teacher.history), 0
    for start in range(0, len(people), CHUNK):
        chunk = list(lists_for(teacher, bundle, people[start : start + CHUNK], lists.published_at))
        store.write_recommendations(chunk)
        written += len(chunk)
    store.publish_recommendations(lists.published_at)
    yield f"{written} people's lists to {store.name}"


def active(history: History) -> list[str]:
    """Who came in the last `ACTIVE_DAYS` of the log, the latest first, at most `MOST_PEOPLE`."""
    log = history.log
    newest = np.zeros(len(log.actor_ids), np.int64)
    np.maximum.at(newest, log.actor, log.time)
    order = np.argsort(-newest, kind="stable")[:MOST_PEOPLE]
    since = history.end - ACTIVE_DAYS * DAY_MS
    return [log.actor_ids[actor] for actor in order if newest[actor] >= since]


def lists_for(
    teacher: Teacher, bundle: Bundle, people: Sequence[str], made_at: int
) -> Iterator[Listed]:
    """The best `LONG` items of each person as of the log's end, ranked as serving would."""
    asked = [Basket(actor, teacher.history.end, frozenset()) for actor in people]
    for one in ranked(teacher.build(bundle.sources, asked), bundle.ranker):
        scores = -np.sort(-one.scores, kind="stable")
        items = tuple(
            (bundle.item_ids[position], round(float(score), 4))
            for position, score in zip(one.best(LONG), scores, strict=False)
        )
        yield Listed(one.query.basket.actor, made_at, bundle.id, items)


def popular(bundle: Bundle, made_at: int) -> TrendingList:
    """What sells, overall and by the broadest category."""
    positions, scores = bundle.sources.popular
    names = bundle.catalogue.categories
    segments: dict[str, list[tuple[str, float]]] = {EVERYWHERE: []}
    for position, score in zip(positions.tolist(), scores.tolist(), strict=True):
        code = int(bundle.columns.category[position])
        broadest = names[code][:1] if code >= 0 else ()
        for segment in (EVERYWHERE, *broadest):
            segments.setdefault(segment, []).append((bundle.item_ids[position], score))
    return TrendingList(POPULAR, made_at, {s: top[:POPULAR_LONG] for s, top in segments.items()})
