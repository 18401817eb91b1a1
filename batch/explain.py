"""What a night keeps so that its models can be looked at: small tables beside the bundle.

`sample.npz`  some test rows of the ranker's matrix, and what each column added to their scores
`curve.json`  NDCG of unseen baskets by number of trees
`days.parquet`  events by day and kind, and by day and broadest category
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import lightgbm
import numpy as np
import pandas as pd

from batch.files import write_json
from batch.history import History
from batch.lists import Ranked, best, mean_ndcg
from batch.training_set import Query
from models.ranker import Ranker

#: Baskets behind the curve, points on it, and rows that are explained.
BASKETS, POINTS, ROWS = 200, 12, 2_000
K: Final = 10


def keep(root: Path, test: Sequence[Ranked], ranker: Ranker | None, history: History) -> None:
    """Writes the tables into the night's directory; without a ranker, the days only."""
    days(history).to_parquet(root / "days.parquet", index=False)
    if ranker is None:
        return
    booster = lightgbm.Booster(model_str=ranker.text)
    some = [one.query for one in test[:: max(1, len(test) // BASKETS)]]
    write_json(root / "curve.json", learning_curve(booster, some))
    rows = np.concatenate([query.rows for query in some])
    picked = np.random.default_rng(0).permutation(len(rows))[:ROWS]
    added = booster.predict(rows[picked], pred_contrib=True, num_threads=1)
    np.savez(root / "sample.npz", rows=rows[picked], added=np.asarray(added)[:, :-1])


def learning_curve(booster: lightgbm.Booster, queries: Sequence[Query]) -> dict[str, list[float]]:
    """NDCG@10 over `queries` after so many trees: `trees` and `ndcg`, of one length."""
    most = booster.num_trees()
    trees = sorted({max(1, round(most * part)) for part in np.linspace(0.02, 1, POINTS)})
    found = []
    for count in trees:
        scores = [booster.predict(q.rows, num_iteration=count, num_threads=1) for q in queries]
        lists = [best(query, one, K) for query, one in zip(queries, scores, strict=True)]
        found.append(mean_ndcg(queries, lists, K))
    return {"trees": [float(count) for count in trees], "ndcg": found}


def days(history: History) -> pd.DataFrame:
    """Rows of (day, what, name, events): `what` is kind or category."""
    events = [event for event in history.events if event.item_id in history.items.index_of]
    paths = history.items.catalogue.categories
    of = dict(zip(history.items.ids, history.items.category.tolist(), strict=True))
    frame = pd.DataFrame(
        {
            "day": pd.to_datetime([event.event_time for event in events], unit="ms").floor("D"),
            "kind": [event.type for event in events],
            "category": [
                paths[code][0] if (code := of[e.item_id]) >= 0 else "unknown" for e in events
            ],
        }
    )
    parts = [
        frame.groupby(["day", what]).size().rename("events").reset_index().assign(what=what)
        .rename(columns={what: "name"})
        for what in ("kind", "category")
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def drift(found: pd.DataFrame, what: str, last_days: int = 7, before_days: int = 28) -> float:
    """How much of what people do has moved: half the sum of the shares' changes, in [0, 1].

    The last week beside the four before; 0 when one of them is empty.
    """
    mine = found[found["what"] == what]
    if not len(mine):
        return 0.0
    age = (mine["day"].max() - mine["day"]).dt.days
    late, early = age < last_days, (age >= last_days) & (age < last_days + before_days)
    shares = [mine[mask].groupby("name")["events"].sum() for mask in (late, early)]
    if any(part.sum() == 0 for part in shares):
        return 0.0
    a, b = (part / part.sum() for part in shares)
    return float(a.sub(b, fill_value=0).abs().sum() / 2)
