"""`millrace models tune`: searches the numbers of ALS, run by `spark-submit batch/tune.py`.

The search is judged on the week before the nightly's test week, which nothing here has seen. Every
trial is a child run in MLflow; the best rule is kept in the lake, and later nights learn by it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from pyspark.sql import SparkSession
from threadpoolctl import threadpool_limits

from batch.files import read_json, write_json
from batch.history import History, NothingToLearn, read
from batch.lake import Lake
from batch.manifest import LakeError
from batch.recipe import Recipe
from batch.session import session
from batch.tune_als import RULES, K, Trial, tune
from feature_store.settings import Settings
from models import own
from models.als import Rule
from models.registry import Registry, RegistryUnavailable
from models.tracking import Record

#: In the lake: the rule that the last search found best.
RULE: Final = "als.json"


def tuned(lake: Lake, recipe: Recipe) -> Recipe:
    """The recipe with the rule that a search has found, if there was one."""
    found = read_json(lake.root / RULE)
    return replace(recipe, als=Rule(**found)) if found else recipe


def search(spark: SparkSession, history: History, recipe: Recipe) -> tuple[Trial, ...]:
    """The recipe's own rule and `RULES`, on the slice before the test; best first."""
    until, log = history.end - recipe.test_ms, history.log
    cut = until - recipe.test_ms
    known = own.fit(log.before(cut), cut, recipe.own_half_life_days)
    after = log.where((log.time >= cut) & (log.time < until))
    rules = dict.fromkeys((recipe.als, *RULES))
    return tune(spark, known, after, len(history.items.ids), tuple(rules))


def record(trials: Sequence[Trial]) -> Record:
    """The run of a search: the winner above, every trial below."""
    best = trials[0]
    return Record(
        name="ALS search",
        params={"trials": len(trials), **_params(best.rule)},
        metrics={f"ndcg_{K}": best.ndcg, f"recall_{K}": best.recall},
        children=[
            Record(
                name=_name(trial.rule),
                params=_params(trial.rule),
                metrics={
                    f"ndcg_{K}": trial.ndcg, f"recall_{K}": trial.recall, "seconds": trial.seconds,
                },
            )
            for trial in trials
        ],
    )  # fmt: skip


def main() -> int:
    """Searches, logs and keeps; 1 with one sentence when it could not."""
    settings = Settings()
    lake = Lake(settings.lake)
    try:
        with lake.locked(), threadpool_limits(1):
            spark, recipe = session("millrace-tune"), tuned(lake, Recipe())
            trials = search(spark, read(spark, settings, lake), recipe)
            _keep(settings, lake, recipe, trials)
    except (LakeError, NothingToLearn, RegistryUnavailable) as expected:
        print(f"[tune] failed: {expected}", file=sys.stderr)
        return 1
    return 0


def _keep(settings: Settings, lake: Lake, recipe: Recipe, trials: Sequence[Trial]) -> None:
    if not trials:
        print("[tune] nobody known took anything in the week before the last: the rule stays")
        return
    for trial in trials:
        print(f"[tune] NDCG@{K} {trial.ndcg:.4f}, {trial.seconds:.0f} s: {trial.rule}", flush=True)
    Registry(settings.mlflow, settings.namespace, patience_s=60).note(record(trials))
    best = trials[0].rule
    write_json(lake.root / RULE, asdict(best))
    changed = "the next night learns by it" if best != recipe.als else "it is the rule already"
    print(f"[tune] best of {len(trials)}: {best}; {changed}")


def _name(rule: Rule) -> str:
    ridge = f"ridge {rule.regularisation:g}{' a liked item' if rule.scaled else ''}"
    return f"rank {rule.rank}, alpha {rule.alpha:g}, {ridge}, {rule.iterations} rounds"


def _params(rule: Rule) -> dict[str, object]:
    return {f"als_{name}": value for name, value in asdict(rule).items()}


if __name__ == "__main__":
    sys.exit(main())
