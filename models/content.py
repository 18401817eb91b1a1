"""Content similarity: items that read alike, for what nobody has bought yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.interactions import Floats, Ints
from models.neighbours import Neighbours, keep_best

_WORD = re.compile(r"[^\W_]+")
#: Rows compared at once: at most so many times `COMMON` similarities for each of their terms.
BLOCK = 500
#: A term that more items of a group have is not compared: all pairs of them would be a square.
COMMON = 3_000
#: What a term beside the main ones weighs.
ASIDE = 0.5


@dataclass(frozen=True, slots=True)
class Text:
    """What an item says about itself."""

    title: str
    category: tuple[str, ...]
    brand: str
    tags: tuple[str, ...] = ()
    description: str = ""
    price_minor: int = 0


def fit(texts: Sequence[Text], groups: Ints, k: int = 20) -> Neighbours:
    """TF-IDF cosine among items of one group (`groups` (items,): e.g. the broad category code).

    A word of a description counts `ASIDE`, as does the price band: both say less than a title.

    Comparing within groups, and there by what at most `COMMON` items say, keeps the work
    near-linear; words and weights are of the whole catalogue.
    """
    vectors = tfidf(texts)
    items = np.full((len(texts), k), -1, np.int32)
    weights = np.zeros((len(texts), k), np.float32)
    order = np.argsort(groups, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        mine = _telling(vectors[group])
        others = mine.T.tocsr()
        for start in range(0, len(group), BLOCK):
            rows = group[start : start + BLOCK]
            near, weights[rows] = _closest(mine[start : start + BLOCK] @ others, start, k)
            items[rows] = np.where(near >= 0, group[near], -1)
    return Neighbours(items, weights)


def tfidf(texts: Sequence[Text]) -> sparse.csr_matrix:
    """Rows of unit length, (items, vocabulary), weighted by smoothed inverse frequency."""
    vocabulary: dict[str, int] = {}
    columns: list[int] = []
    counts: list[float] = []
    indptr = [0]
    for text in texts:
        terms = {**dict.fromkeys(_aside(text), ASIDE), **dict.fromkeys(_terms(text), 1.0)}
        columns.extend(vocabulary.setdefault(term, len(vocabulary)) for term in terms)
        counts.extend(terms.values())
        indptr.append(len(columns))
    frequency = np.bincount(columns, minlength=max(len(vocabulary), 1))
    idf = np.log((1 + len(texts)) / (1 + frequency)) + 1
    indices = np.asarray(columns, dtype=np.int32)
    shape = (len(texts), max(len(vocabulary), 1))
    weights = (idf[indices] * counts).astype(np.float32)
    matrix = sparse.csr_matrix((weights, indices, indptr), shape=shape)
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data /= np.repeat(np.maximum(norms, 1e-9), np.diff(matrix.indptr)).astype(np.float32)
    matrix.sort_indices()
    return matrix


def _terms(text: Text) -> Iterator[str]:
    """Words, and one term for each field that means something as a whole."""
    yield from _WORD.findall(text.title.lower())
    yield from (f"tag={tag.lower()}" for tag in text.tags)
    yield from (f"category={name}" for name in text.category)
    if text.brand:
        yield f"brand={text.brand}"


def _aside(text: Text) -> Iterator[str]:
    """The words of the description, and the price band: from each to the next, twice as dear."""
    yield from _WORD.findall(text.description.lower())
    if text.price_minor > 0:
        yield f"price={text.price_minor.bit_length()}"


def _telling(vectors: sparse.csr_matrix) -> sparse.csr_matrix:
    """A group's rows without what more than `COMMON` of them say."""
    if vectors.shape[0] > COMMON:
        often = np.bincount(vectors.indices, minlength=vectors.shape[1])
        vectors.data[often[vectors.indices] > COMMON] = 0
        vectors.eliminate_zeros()
    return vectors


def _closest(similarity: sparse.csr_matrix, first: int, k: int) -> tuple[Ints, Floats]:
    """The k nearest in their group of the rows from `first` on, without themselves."""
    left = first + np.repeat(np.arange(similarity.shape[0]), np.diff(similarity.indptr))
    similarity.data[left == similarity.indices] = 0
    return keep_best(similarity, k)
