"""The single sources that a served list must beat, over the full catalogue, tuned as hard as ours.

Each is fitted on what happened before a cut and asked with a person's own visits up to the moment,
so all of them know the last basket as well as ours does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from batch.history import History
from batch.training_set import Basket
from models.evaluation import by_user, score
from models.interactions import Floats, Ints, Longs, Visits, decay, visits
from models.topk import top

#: What was tried of each on the validation slice: half-lives in days, λ of EASE.
HALF_LIVES: Final = (15.0, 30.0, 60.0, 90.0, 180.0, 1e6)
DECAYS: Final = (1.0, 3.0, 7.0, 14.0, 28.0)
LAMBDAS: Final = (30.0, 100.0, 300.0)
POWERS: Final = (0.5, 0.3)
MOST_SOLD: Final = 8_000
K: Final = 10

#: Scores of all items, from a person's items and the ages of their visits.
Single = Callable[["Person"], Floats]


@dataclass(frozen=True)
class Person:
    """What one actor bought before a moment: items, and when (ms), a row a visit."""

    item: Ints
    start: Longs
    moment: int
    items: int

    def strengths(self, half_life_days: float) -> Floats:
        """Decayed visits by item, (items,)."""
        worth = decay((self.moment - self.start).astype(np.float64), half_life_days)
        return np.bincount(self.item, worth, self.items).astype(np.float32)


class People:
    """Every actor's visits, in order of time."""

    def __init__(self, history: History) -> None:
        self.seen: Visits = visits(history.log)
        self.items = len(history.items.ids)
        self._codes = {actor: code for code, actor in enumerate(history.log.actor_ids)}
        self._first = np.searchsorted(self.seen.actor, np.arange(len(self._codes) + 1))

    def before(self, actor: str, moment: int) -> Person:
        """What an actor had done strictly before a moment."""
        code = self._codes[actor]
        part = slice(self._first[code], self._first[code + 1])
        known = self.seen.start[part] < moment
        return Person(self.seen.item[part][known], self.seen.start[part][known], moment, self.items)

    def matrix(self, cut: int, half_life_days: float) -> sparse.csr_matrix:
        """Decayed visits before a cut, (actors, items)."""
        past = self.seen.start < cut
        worth = decay((cut - self.seen.start[past]).astype(np.float64), half_life_days)
        shape = (len(self._codes), self.items)
        where = (self.seen.actor[past], self.seen.item[past])
        return sparse.csr_matrix((worth, where), shape=shape, dtype=np.float32)


def own(half_life_days: float) -> Single:
    """What the person bought, decayed."""
    return lambda person: person.strengths(half_life_days)


def popularity(people: People, cut: int, half_life_days: float) -> Single:
    """What everybody bought before the cut, decayed."""
    scores = np.asarray(people.matrix(cut, half_life_days).sum(axis=0), np.float32).ravel()
    return lambda person: scores


def item_knn(people: People, cut: int, half_life_days: float, power: float) -> Single:
    """Items by who bought them, all neighbours, asked with a decayed and damped history.

    `power` is that of the norms: 0.5 is the cosine, less favours what is popular.
    """
    taste = _taste(people, cut, half_life_days)
    norms = np.asarray(taste.multiply(taste).sum(axis=0)).ravel() + 1.0
    unit = (taste @ sparse.diags_array(norms**-power)).tocsr().astype(np.float32)
    own_share = np.asarray(unit.multiply(unit).sum(axis=0), np.float32).ravel()

    def asked(person: Person) -> Floats:
        mine = np.log1p(person.strengths(half_life_days))
        return np.asarray(unit.T @ (unit @ mine) - own_share * mine, np.float32)

    return asked


def ease(people: People, cut: int, half_life_days: float, ridge: float) -> Single:
    """EASE (Steck 2019) over the `MOST_SOLD` items, in its dual form: users x users, never items².

    P = (XᵀX + λI)⁻¹ = (I - Xᵀ(XXᵀ + λI)⁻¹X) / λ and B = I - P / diag(P), X holding damped
    strengths.
    """
    taste = _taste(people, cut, half_life_days)
    sold = np.asarray((taste > 0).sum(axis=0)).ravel()
    kept = np.sort(np.argsort(-sold, kind="stable")[:MOST_SOLD])
    taste = taste[:, kept].tocsr()
    kernel = np.asarray((taste @ taste.T).todense(), np.float32)
    kernel[np.diag_indices_from(kernel)] += ridge
    inverse, columns = np.linalg.inv(kernel), taste.tocsc()
    diagonal = np.ones(len(kept), np.float32)
    for start in range(0, len(kept), 2_000):
        block = np.asarray(columns[:, start : start + 2_000].todense(), np.float32)
        diagonal[start : start + 2_000] -= np.einsum("ui,ui->i", block, inverse @ block)

    def asked(person: Person) -> Floats:
        mine = np.log1p(person.strengths(half_life_days)[kept])
        left = mine - taste.T @ (inverse @ (taste @ mine))
        scores = np.zeros(person.items, np.float32)
        scores[kept] = mine - left / np.maximum(diagonal, 1e-4)
        return scores

    return asked


def _taste(people: People, cut: int, half_life_days: float) -> sparse.csr_matrix:
    """Damped strengths of everybody who bought anything before the cut."""
    taste = people.matrix(cut, half_life_days)
    taste.data = np.log1p(taste.data)
    return taste[np.diff(taste.indptr) > 0]


@dataclass(frozen=True)
class Result:
    """NDCG@10 by actor: all of a basket, and what was new to the person in it (theirs excluded)."""

    all: Mapping[str, float]
    new: Mapping[str, float]


def measured(single: Single, people: People, asked: Sequence[Basket]) -> Result:
    """Ranks the full catalogue for every basket."""
    users, values = [], []
    new_users, new_values = [], []
    for basket in asked:
        person = people.before(basket.actor, basket.moment)
        scores = single(person)
        users.append(basket.actor)
        values.append(score(_best(scores), basket.wanted, K).ndcg)
        wanted = basket.wanted.difference(person.item.tolist())
        if wanted:
            scores = scores.copy()
            scores[person.item] = 0
            new_users.append(basket.actor)
            new_values.append(score(_best(scores), wanted, K).ndcg)
    return Result(by_user(users, values), by_user(new_users, new_values))


def tuned(people: People, cut: int, asked: Sequence[Basket]) -> dict[str, tuple[float, ...]]:
    """The best parameters of each single source on a validation slice, fitted at its cut."""
    tries: dict[str, Iterable[tuple[float, ...]]] = {
        "own, decayed": [(h,) for h in HALF_LIVES],
        "popularity, decayed": [(h,) for h in DECAYS],
        "item-kNN": [(h, power) for h in (60.0, 1e6) for power in POWERS],
        "EASE": [(h, ridge) for h in (60.0, 1e6) for ridge in LAMBDAS],
    }
    return {name: max(some, key=lambda p: _mean(made(name, people, cut, p), people, asked))
            for name, some in tries.items()}  # fmt: skip


def made(name: str, people: People, cut: int, parameters: tuple[float, ...]) -> Single:
    """A single source by its name in the table."""
    match name:
        case "own, decayed":
            return own(parameters[0])
        case "EASE":
            return ease(people, cut, *parameters)
        case "item-kNN":
            return item_knn(people, cut, *parameters)
        case _:
            return popularity(people, cut, *parameters)


def _mean(single: Single, people: People, asked: Sequence[Basket]) -> float:
    return float(np.mean(list(measured(single, people, asked).all.values())))


def _best(scores: Floats) -> Ints:
    return top(scores, K)[0]
