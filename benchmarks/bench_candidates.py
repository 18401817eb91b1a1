"""The best of a million items for a user: how long it takes, and how many of the best are found.

    make bench-candidates
    make bench-candidates ARGS="--items 100000 --quick"     # ours and the exact scan only

Factors are trained on gowalla and resampled to a million; queries are trained users. Processor
time of one thread, the median of several rounds. Recall is against the exact scan; the loss of
NDCG is that of the test interactions on gowalla's own items. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.factors import RANK, SEED, Trained, resampled, trained
from benchmarks.stage import machine, report, say
from models.als import Als, Rule
from models.interactions import Floats, Ints
from models.topk import top

TOP: Final = 200
JUDGED: Final = 20
#: A library searches ever wider, twice as wide each time, until it finds this share, or so wide.
NEAR: Final = 0.95
WIDEST: Final = 16
QUERIES: Final = 200
ROUNDS: Final = 5

Search = Callable[[Floats], Ints]


def main() -> None:
    options = _arguments()
    threadpool_limits(1)
    learned = trained()
    items = resampled(learned.items, options.items)
    rng = np.random.default_rng(SEED)
    queries = learned.users[rng.choice(len(learned.users), QUERIES, replace=False)]
    say(f"{len(items):,} items x {RANK}, {QUERIES} users, the best {TOP}")
    wanted = [top(items @ query, TOP)[0] for query in queries]
    rows = {name: measured(search, queries, wanted) for name, search in sides(items)}
    if not options.quick:
        for name, wider in libraries(items):
            rows[name] = nearest(wider, queries, wanted)
    show(rows)
    ours, exact = rows["ours"], rows["exact scan"]
    figures = {
        "recall@200": ours[0],
        "ms": ours[1],
        "exact_ms": exact[1],
        "ndcg_loss": ndcg_loss(learned),
        "items": len(items),
        "alternatives": {name: {"recall": row[0], "ms": row[1]} for name, row in rows.items()},
    }
    report("candidates", {**figures, **machine()})


def sides(items: Floats) -> Iterator[tuple[str, Search]]:
    """Our ways to search, each built when its turn comes."""
    als = Als.build(Rule(RANK, 1.0, 0.1, 1), items)
    yield "ours", lambda query: als.best(query, TOP)[0]
    yield "exact scan", lambda query: top(items @ query, TOP)[0]
    yield "exact by norm, numpy", by_norm(items)


def by_norm(items: Floats) -> Search:
    """Ours without codes and kernel: blocks of doubling size, until no norm is long enough."""
    norms = np.linalg.norm(items, axis=1)
    order = np.argsort(-norms, kind="stable")
    ordered, falling = items[order], -norms[order]

    def search(query: Floats) -> Ints:
        length, end = float(np.linalg.norm(query)), 8192
        while True:
            best, scores = top(ordered[:end] @ query, TOP)
            needed = int(np.searchsorted(falling, -scores[-1] / length)) if len(best) else math.inf
            if end >= min(needed, len(ordered)):
                return order[best].astype(np.int32)
            end = min(2 * end, len(ordered))

    return search


def libraries(items: Floats) -> Iterator[tuple[str, Callable[[int], Search]]]:
    """Approximate indexes; each with what makes a search of it, so many times as wide."""
    import faiss
    import hnswlib
    from usearch.index import Index

    faiss.omp_set_num_threads(1)
    lists = int(4 * math.sqrt(len(items)))
    say(f"training {lists} lists for IVF")
    coarse = faiss.IndexFlatIP(RANK)
    for name, index in (
        ("faiss IVF", faiss.IndexIVFFlat(coarse, RANK, lists, faiss.METRIC_INNER_PRODUCT)),
        ("faiss int8", faiss.IndexScalarQuantizer(
            RANK, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)),
    ):  # fmt: skip
        index.train(items[: 40 * lists])
        index.add(items)

        def probing(width: int, index: faiss.Index = index) -> Search:
            if isinstance(index, faiss.IndexIVFFlat):
                index.nprobe = width * lists // 40
            return lambda query: index.search(query[None], TOP)[1][0]

        yield name, probing
    # A coordinate more makes the nearest by distance the largest by product.
    norms = np.linalg.norm(items, axis=1)
    wide = np.hstack([items, np.sqrt(norms.max() ** 2 - norms**2)[:, None]]).astype(np.float32)
    say("building HNSW, which takes minutes")
    graph = hnswlib.Index("l2", RANK + 1)
    graph.init_index(len(items), M=16, ef_construction=100, random_seed=SEED)
    graph.set_num_threads(1)
    graph.add_items(wide, num_threads=-1)

    def looking(width: int) -> Search:
        graph.set_ef(width * 2 * TOP)
        return lambda query: graph.knn_query(np.append(query, 0)[None], TOP)[0][0]

    yield "hnswlib", looking
    say("and that of usearch")
    small = Index(ndim=RANK + 1, metric="l2sq", connectivity=16, expansion_add=100, dtype="f32")
    small.add(np.arange(len(items)), wide)

    def expanding(width: int) -> Search:
        small.expansion_search = width * 2 * TOP
        return lambda query: small.search(np.append(query, 0).astype(np.float32), TOP).keys

    yield "usearch", expanding


def nearest(
    wider: Callable[[int], Search], queries: Floats, wanted: Sequence[Ints]
) -> tuple[float, float]:
    """(recall, ms of a query) at the least width with a recall of `NEAR`, else at the widest."""
    width = 1
    while width < WIDEST and recall(wider(width), queries, wanted) < NEAR:
        width *= 2
    return measured(wider(width), queries, wanted)


def recall(search: Search, queries: Floats, wanted: Sequence[Ints]) -> float:
    """The share of the best that a search finds."""
    pairs = zip(map(search, queries), wanted, strict=True)
    found = [len(np.intersect1d(mine, best)) / max(1, len(best)) for mine, best in pairs]
    return float(np.mean(found))


def measured(search: Search, queries: Floats, wanted: Sequence[Ints]) -> tuple[float, float]:
    """(recall, ms of a query)."""
    found, spent = recall(search, queries, wanted), []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for query in queries:
            search(query)
        spent.append((time.process_time() - begun) / len(queries) * 1_000)
    return round(found, 4), round(median(spent), 3)


def ndcg_loss(learned: Trained) -> float:
    """1 - NDCG@20 of the test interactions by our search, as a share of the exact scan's."""
    als = Als.build(Rule(RANK, 1.0, 0.1, 1), learned.items)
    ours = exact = 0.0
    for user in range(0, len(learned.users), 10):
        liked = learned.held_out.indices[slice(*learned.held_out.indptr[user : user + 2])]
        if len(liked):
            query = learned.users[user]
            ours += _ndcg(als.best(query, JUDGED)[0], liked)
            exact += _ndcg(top(learned.items @ query, JUDGED)[0], liked)
    return round(1 - ours / exact, 5)


def _ndcg(listed: Ints, liked: Ints) -> float:
    gains = 1 / np.log2(np.arange(2, JUDGED + 2))
    hits = np.isin(listed, liked)
    return float(gains[: len(hits)][hits].sum() / gains[: len(liked)].sum())


def show(rows: dict[str, tuple[float, float]]) -> None:
    """The table."""
    print(f"\n  {'search':<24}{'recall@200':>12}{'ms':>10}")
    for name, (recall, ms) in sorted(rows.items(), key=lambda row: row[1][1]):
        print(f"  {name:<24}{recall:>12.4f}{ms:>10.3f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="without the libraries")
    return parser.parse_args()


if __name__ == "__main__":
    main()
