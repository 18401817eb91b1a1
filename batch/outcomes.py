"""What became of every test basket: the list that was made for it, and how good it was.

One row a basket, so that two bundles can be compared basket by basket, tonight or months later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from batch.history import History
from batch.lists import Ranked, alone
from models.evaluation import Difference, Scores, by_user, mean_by_user, paired_bootstrap, score
from models.interactions import Ints, visits
from models.sources import SOURCES

#: Who has shopped less often than this before a basket is cold.
WARM_VISITS: Final = 3
#: What fewer visits had touched before a basket is a cold item.
WARM_ITEM_VISITS: Final = 5
SERVED: Final = "served"
#: Slices of the served list: column -> what people call it.
SLICES: Final = {
    SERVED: "all baskets",
    "repeat": "items bought before",
    "new": "items never bought before",
    "cold": f"people with fewer than {WARM_VISITS} visits",
    "warm": f"people with {WARM_VISITS} visits or more",
    "cold_items": f"items of fewer than {WARM_ITEM_VISITS} visits",
    "warm_items": f"items of {WARM_ITEM_VISITS} visits or more",
}
#: What else is known of each slice, as `models.evaluation.Scores` calls it: columns `recall_new`, …
METRICS: Final = ("recall", "mrr", "hit")


def column_of(metric: str, name: str) -> str:
    """Where a metric of a slice stands; NDCG has the slice's own name."""
    return f"{metric}_{name}"


BESIDE_NDCG: Final = tuple(column_of(metric, name) for metric in METRICS for name in SLICES)


@dataclass(frozen=True)
class Outcomes:
    """A row a basket: actor, moment (ms), wanted (items), shown (item ids), NDCG by list and slice.

    `METRICS` of each slice stand beside its NDCG; its columns are NaN where the basket has nothing
    of it. `impossible` counts the items that a person's own history offered although the person had
    not touched them by then; `flat` says that every candidate had the same score.
    """

    k: int
    rows: pd.DataFrame

    def mean(self, column: str) -> float:
        """The mean over people of each one's mean; NaN without any."""
        known = self.rows[self.rows[column].notna()]
        return mean_by_user(known["actor"].tolist(), known[column].to_numpy())

    def since(self, moment: int) -> Outcomes:
        """The baskets at or after a moment (ms)."""
        return Outcomes(self.k, self.rows[self.rows["moment"] >= moment].reset_index(drop=True))

    def less(self, other: Outcomes, column: str) -> Difference | None:
        """The paired difference ours − theirs of a column; None where nothing can be paired.

        Raises `ValueError` unless both speak of the same baskets.
        """
        keys = ["actor", "moment"]
        if not self.rows[keys].equals(other.rows[keys]):
            raise ValueError("these outcomes are of different baskets: nothing can be paired")
        both = (self.rows[column].notna() & other.rows[column].notna()).to_numpy()
        if not both.any():
            return None
        users = self.rows["actor"][both].tolist()
        ours, theirs = (by_user(users, x.rows[column][both].to_numpy()) for x in (self, other))
        return paired_bootstrap(ours, theirs)

    def beside(self, other: Outcomes) -> tuple[Outcomes, Outcomes]:
        """Both, on the baskets that both were tested on, in one order."""
        keys = ["actor", "moment"]
        common = self.rows[keys].merge(other.rows[keys]).drop_duplicates()
        mine, theirs = (Outcomes(x.k, common.merge(x.rows, on=keys)) for x in (self, other))
        return mine, theirs

    def gap(self, column: str, rival: str) -> Difference:
        """The paired difference between two lists of ours."""
        return paired_bootstrap(self._by_user(column), self._by_user(rival))

    def means(self) -> dict[str, float]:
        """The mean of every slice and source that has one, and of `BESIDE_NDCG`."""
        found = {name: self.mean(name) for name in (*SLICES, *SOURCES, *BESIDE_NDCG)}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def write(self, path: Path) -> None:
        """As Parquet."""
        self.rows.assign(k=self.k).to_parquet(path, index=False)

    @classmethod
    def read(cls, path: Path) -> Outcomes:
        """The inverse of `write`; an earlier night may not know of every slice."""
        rows = pd.read_parquet(path)
        unknown = {name: np.nan for name in (*SLICES, *BESIDE_NDCG) if name not in rows}
        k = int(rows["k"].iloc[0]) if len(rows) else 0
        return cls(k, rows.drop(columns="k").assign(**unknown))

    def _by_user(self, column: str) -> Mapping[str, float]:
        known = self.rows[self.rows[column].notna()]
        return by_user(known["actor"].tolist(), known[column].to_numpy())


def outcomes(test: Sequence[Ranked], history: History, k: int) -> Outcomes:
    """What became of every query as served, and of each source's own list."""
    past = _Past(history)
    return Outcomes(k, pd.DataFrame([_row(one, history, past, k) for one in test]))


class _Past:
    """When each actor first touched each item, and when each visit began, of actors and items."""

    def __init__(self, history: History) -> None:
        log = history.log
        self._first: dict[tuple[str, int], int] = {}
        self._visits: dict[str, npt.NDArray[np.int64]] = {}
        names = np.asarray(log.actor_ids, dtype=object)[log.actor]
        for actor, item, time in zip(names, log.item.tolist(), log.time.tolist(), strict=True):
            self._first.setdefault((actor, item), time)
        starts = np.flatnonzero(np.diff(log.session, prepend=-1))
        frame = pd.DataFrame({"actor": names[starts], "start": log.time[starts]})
        for actor, group in frame.groupby("actor", sort=False):
            self._visits[str(actor)] = group["start"].to_numpy()
        seen = visits(log)
        order = np.lexsort((seen.start, seen.item))
        edges = np.searchsorted(seen.item[order], np.arange(1, len(history.items.ids)))
        self._of_item = np.split(seen.start[order], edges)

    def knows(self, actor: str, item: int, moment: int) -> bool:
        """Whether the actor had touched the item strictly before `moment`."""
        return self._first.get((actor, item), moment) < moment

    def visits(self, actor: str, moment: int) -> int:
        """How often the actor had come strictly before `moment`."""
        starts = self._visits.get(actor)
        return 0 if starts is None else int(np.searchsorted(starts, moment))

    def cold(self, item: int, moment: int) -> bool:
        """Whether few visits had touched the item strictly before `moment`."""
        return int(np.searchsorted(self._of_item[item], moment)) < WARM_ITEM_VISITS


def _row(one: Ranked, history: History, past: _Past, k: int) -> dict[str, Any]:
    query, shown, scores = one.query, one.best(k), one.scores
    basket, found = query.basket, query.candidates
    again = {item for item in basket.wanted if past.knows(basket.actor, item, basket.moment)}
    rare = {item for item in basket.wanted if past.cold(item, basket.moment)}
    mine = score(shown, basket.wanted, k)
    cold = past.visits(basket.actor, basket.moment) < WARM_VISITS
    own = found.positions[~np.isnan(found.scores[:, SOURCES.index("own")])].tolist()
    told = {
        SERVED: mine,
        "repeat": _among(shown, again, k),
        "new": _among(shown, basket.wanted - again, k),
        "cold": mine if cold else None,
        "warm": None if cold else mine,
        "cold_items": _among(shown, rare, k),
        "warm_items": _among(shown, basket.wanted - rare, k),
    }
    return {
        "actor": basket.actor,
        "moment": basket.moment,
        "wanted": len(basket.wanted),
        "shown": [history.items.ids[position] for position in shown],
        **_columns(told),
        "flat": bool(len(scores) > 1 and np.ptp(scores) == 0),
        "impossible": sum(not past.knows(basket.actor, item, basket.moment) for item in own),
        **{
            name: score(alone(query, column, k), basket.wanted, k).ndcg
            for column, name in enumerate(SOURCES)
        },
    }


def _among(ranked: Ints, wanted: frozenset[int] | set[int], k: int) -> Scores | None:
    """The scores when only these items count; None when there are none."""
    return score(ranked, wanted, k) if wanted else None


def _columns(told: Mapping[str, Scores | None]) -> dict[str, float]:
    """The columns of all slices; NaN where the basket has nothing of one."""
    ndcg = {name: said.ndcg if said else np.nan for name, said in told.items()}
    others = {
        column_of(metric, name): getattr(said, metric) if said else np.nan
        for metric in METRICS
        for name, said in told.items()
    }
    return {**ndcg, **others}


def as_json(found: Mapping[str, Difference | None]) -> dict[str, Any]:
    """Differences as JSON, those that exist."""
    return {name: asdict(difference) for name, difference in found.items() if difference}
