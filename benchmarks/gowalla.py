"""The gowalla split that was published with LightGCN: who checked in where, without times.

Read from `gowalla.tar.xz`. The protocol of the published tables: fit on
train and valid, rank every item a person has in neither, over all people of test. What is tuned
is tuned by fitting on train and looking at valid.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from benchmarks.packed import packed
from models.evaluation import Scores, score
from models.interactions import Floats, Ints
from models.topk import top

USERS, ITEMS, K = 29_858, 40_981, 20
#: People ranked at once: a block of dense scores is 80 MB.
BLOCK = 500

#: Dense scores (people, ITEMS) of some people.
Scorer = Callable[[Ints], Floats]
#: The same of several sides at once, so that what they share is computed once.
Scorers = Callable[[Ints], Iterator[tuple[str, Floats]]]


@dataclass(frozen=True)
class Gowalla:
    """Three sparse matrices (users, items) of ones."""

    train: sparse.csr_matrix
    valid: sparse.csr_matrix
    test: sparse.csr_matrix

    @classmethod
    def read(cls) -> Gowalla:
        """From the archive; exits with a sentence when it is not there."""
        with packed("gowalla.tar.xz") as told:
            return cls(*(_matrix(told, name) for name in ("train", "valid", "test")))

    @property
    def known(self) -> sparse.csr_matrix:
        """Train and valid together: what the published models were fitted on."""
        return (self.train + self.valid).tocsr()


def _matrix(archive: tarfile.TarFile, name: str) -> sparse.csr_matrix:
    member = archive.extractfile(f"gowalla/{name}.txt")
    if member is None:
        raise SystemExit(f"gowalla.tar.xz holds no {name}.txt: fetch it again.")
    rows = [np.array(line.split(), np.int32) for line in member]
    users = np.repeat([row[0] for row in rows], [len(row) - 1 for row in rows])
    items = np.concatenate([row[1:] for row in rows])
    ones = np.ones(len(items), np.float32)
    matrix = sparse.csr_matrix((ones, (users, items)), shape=(USERS, ITEMS))
    matrix.data[:] = 1
    return matrix


def someone(wanted: sparse.csr_matrix, most: int | None = None) -> Ints:
    """People with something to find; a fixed sample of `most` of them."""
    people = np.flatnonzero(np.diff(wanted.indptr)).astype(np.int32)
    if most is None or most >= len(people):
        return people
    return np.sort(np.random.default_rng(0).choice(people, most, replace=False))


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over people, at K."""

    ndcg: float
    recall: float


def measure(
    scorers: Scorers, known: sparse.csr_matrix, wanted: sparse.csr_matrix, people: Ints
) -> dict[str, Quality]:
    """Ranks, for every side, the whole catalogue but what a person is known to have."""
    told: dict[str, list[Scores]] = {}
    for block in np.split(people, range(BLOCK, len(people), BLOCK)):
        mine = [set(wanted[user].indices.tolist()) for user in block]
        for name, scores in scorers(block):
            lists = best(scores, known[block])
            found = [score(ranked, his, K) for ranked, his in zip(lists, mine, strict=True)]
            told.setdefault(name, []).extend(found)
    return {name: _means(found) for name, found in told.items()}


def _means(found: list[Scores]) -> Quality:
    return Quality(
        float(np.mean([one.ndcg for one in found])), float(np.mean([one.recall for one in found]))
    )


def best(scores: Floats, known: sparse.csr_matrix) -> list[Ints]:
    """The K best items of every row, best first; those already known are struck out of `scores`."""
    rows = np.repeat(np.arange(len(scores)), np.diff(known.indptr))
    scores[rows, known.indices] = -np.inf
    return [_best(row) for row in scores]


def _best(scores: Floats) -> Ints:
    """To part thousands of equal zeros takes long: those above zero are looked at first."""
    found, _ = top(scores, K)
    return found if len(found) == K else np.argsort(-scores, kind="stable")[:K].astype(np.int32)
