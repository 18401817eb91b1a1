"""Trained factors of as many items as a benchmark wants: gowalla's, resampled."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks.packed import packed
from benchmarks.stage import RESULTS
from models.interactions import Floats, Ints

RANK: Final = 64
#: `implicit`'s convention; a sensible point, not a tuned one: norms and directions matter here.
REGULARISATION: Final = 10.0
ALPHA: Final = 10.0
ITERATIONS: Final = 10
#: A made item lies between a trained one and one of so many that are close to it.
NEAR: Final = 10
BLOCK: Final = 1_000
SEED: Final = 5
#: What was trained, for the next benchmark.
KEPT: Final = RESULTS / "gowalla-factors.npz"


@dataclass(frozen=True)
class Trained:
    """Factors (users, rank) and (items, rank), and the interactions held out from training."""

    users: Floats
    items: Floats
    held_out: sparse.csr_matrix


def trained() -> Trained:
    """Trains on gowalla, once; needs `implicit` and the archive."""
    learn, held_out = _gowalla()
    if not KEPT.is_file():
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        with threadpool_limits(1):
            users, items = _train(learn)
        np.savez(KEPT, users=users, items=items)
    with np.load(KEPT) as kept:
        return Trained(kept["users"], kept["items"], held_out)


def _train(learn: sparse.csr_matrix) -> tuple[Floats, Floats]:
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        RANK, REGULARISATION, ALPHA, iterations=ITERATIONS, num_threads=1, random_state=SEED
    )
    model.fit(learn, show_progress=False)
    return np.asarray(model.user_factors), np.asarray(model.item_factors)


def resampled(items: Floats, count: int) -> Floats:
    """`count` factors like `items`: a direction between two close ones, a norm of the first.

    Noise would be too easy to search badly and too hard to search well: trained items lie in
    clusters, and their norms are very uneven.
    """
    rng = np.random.default_rng(SEED)
    norms = np.linalg.norm(items, axis=1)
    directions = items / np.maximum(norms, 1e-9)[:, None]
    close = _closest(directions)
    source = rng.integers(0, len(items), count)
    made = np.empty((count, items.shape[1]), np.float32)
    for start in range(0, count, 50 * BLOCK):
        part = slice(start, start + 50 * BLOCK)
        one = source[part]
        other = close[one, rng.integers(0, NEAR, len(one))]
        share = rng.uniform(0, 0.5, len(one)).astype(np.float32)[:, None]
        between = (1 - share) * directions[one] + share * directions[other]
        length = norms[one] * np.exp(rng.normal(0, 0.1, len(one)))
        between *= (length / np.maximum(np.linalg.norm(between, axis=1), 1e-9))[:, None]
        made[part] = between
    return made


def _closest(directions: Floats) -> Ints:
    near = np.empty((len(directions), NEAR), np.int32)
    for start in range(0, len(directions), BLOCK):
        cosines = directions[start : start + BLOCK] @ directions.T
        near[start : start + BLOCK] = np.argpartition(-cosines, NEAR + 1, axis=1)[:, 1 : NEAR + 1]
    return near


def _gowalla() -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    with packed("gowalla.tar.xz") as files:
        learn, held_out = (_lists(files, name) for name in ("train", "test"))
    shape = tuple(max(a, b) for a, b in zip(learn.shape, held_out.shape, strict=True))
    learn.resize(shape)
    held_out.resize(shape)
    return learn, held_out


def _lists(files: tarfile.TarFile, name: str) -> sparse.csr_matrix:
    """Each line: a user, then the items."""
    member = files.extractfile(f"gowalla/{name}.txt")
    assert member is not None
    rows, columns = [], []
    for line in member:
        user, *items = map(int, line.split())
        rows += [user] * len(items)
        columns += items
    return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)))
