"""S4: what implicit ALS costs: ours on Spark, Spark's own, and the `implicit` package, on gowalla.

    make bench-training
    make bench-training ARGS="--rounds 1 --iterations 3 --months 0"     # a quick look
    make bench-training ARGS="--rounds 0"                               # the nightly alone

All sides train the same rank and iterations on the same pairs, from arrays in memory to arrays in
memory. Their factors are judged by one objective, computed in `objective.py`: with Spark's ridge
for the pair with Spark, with the plain ridge for the pair with `implicit`. The sides take turns
in every round. A ratio is the baseline's median seconds by ours: above 1, ours is faster. Beside
it stand the processors' seconds, which a busy machine disturbs less. `nightly_s` is a first
nightly over the last `--months` of The Complete Journey in Kafka (all 12 by default), landing and
recount included, on a stack without the stream; `nightly_gib` is the most memory that it took, its
JVM and all workers together. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import psutil
from scipy import sparse

from batch.least_squares import Histories
from batch.session import session
from batch.train_als import alternate
from benchmarks.baselines import implicit_als, spark_als
from benchmarks.gowalla import Gowalla
from benchmarks.objective import loss
from benchmarks.stage import machine, report, say, staged
from benchmarks.watched import Watched
from infra.stack.spark import NIGHTLY, spark_submit
from infra.traffic.journey import ALL_MONTHS
from infra.traffic.replay import replay
from models.als import Rule
from models.interactions import Floats

SCALED: Final = Rule(rank=64, alpha=10.0, regularisation=0.1, iterations=10)
PLAIN: Final = replace(SCALED, regularisation=10.0, scaled=False)

Train = Callable[[Rule], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Run:
    """One training: the clock's seconds, the processors' seconds, the objective reached."""

    seconds: float
    processor_s: float
    loss: float


def main() -> None:
    options = _arguments()
    told = {
        **(figures(trained(options.rounds, options.iterations)) if options.rounds else {}),
        **(nightly(options.months) if options.months else {"nightly_s": None}),
        "months": options.months,
        "iterations": options.iterations,
    }
    report("training", told | machine())


def trained(rounds: int, iterations: int) -> Mapping[str, list[Run]]:
    """Every side's trainings."""
    known, spark = Gowalla.read().known, session("bench-training")
    known.sort_indices()
    rows = Histories(known.indptr.astype(np.int64), known.indices.astype(np.int32), known.data)
    cores = os.cpu_count() or 1
    sides: Mapping[str, tuple[Rule, Train]] = {
        "ours": (SCALED, lambda rule: alternate(spark, rows, known.shape[1], rule)),
        "spark_als": (SCALED, lambda rule: spark_als.train(spark, known, rule)),
        "ours_plain": (PLAIN, lambda rule: alternate(spark, rows, known.shape[1], rule)),
        "implicit": (PLAIN, lambda rule: implicit_als.train(known, rule, cores)),
    }
    for rule, train in sides.values():
        train(replace(rule, iterations=1))
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, (rule, train) in sides.items():
            run = measure(train, replace(rule, iterations=iterations), known)
            say(
                f"round {number + 1}, {name}: {run.seconds:.1f} s, "
                f"{run.processor_s:.1f} s of processor, loss {run.loss:,.0f}"
            )
            runs[name].append(run)
    spark.stop()
    return runs


def measure(train: Train, rule: Rule, known: sparse.csr_matrix) -> Run:
    """Trains once."""
    begun, used = time.time(), _processor_s()
    people, items = train(rule)
    seconds, used = time.time() - begun, _processor_s() - used
    return Run(seconds, used, loss(known, people, items, rule))


def nightly(months: int) -> dict[str, float]:
    """What a first nightly takes, from its start to its end."""
    with staged(("kafka", "redis", "cassandra", "mlflow")) as stage:
        sent = replay(stage.settings, stage.stack.home.root, months=months)
        say(f"{sent.interactions:,} purchases are in Kafka; the nightly begins")
        begun = time.time()
        with Watched() as seen:
            spark_submit(stage.stack, NIGHTLY)
        return {
            "nightly_s": round(time.time() - begun),
            "nightly_processor_s": round(seen.processor_s),
            "nightly_gib": round(seen.peak_gib, 2),
        }


def figures(runs: Mapping[str, list[Run]]) -> dict[str, Any]:
    """What the last line says."""
    clock = {name: statistics.median(run.seconds for run in mine) for name, mine in runs.items()}
    used = {name: statistics.median(run.processor_s for run in mine) for name, mine in runs.items()}
    lost = {name: statistics.median(run.loss for run in mine) for name, mine in runs.items()}
    pairs = (("spark_als", "ours"), ("implicit", "ours_plain"))
    return {
        "ratio": {theirs: round(clock[theirs] / clock[ours], 2) for theirs, ours in pairs},
        "processor_ratio": {theirs: round(used[theirs] / used[ours], 2) for theirs, ours in pairs},
        "loss_ratio": {theirs: round(lost[theirs] / lost[ours], 4) for theirs, ours in pairs},
        "seconds": {name: round(value, 2) for name, value in clock.items()},
        "processor_s": {name: round(value, 2) for name, value in used.items()},
    }


def _processor_s() -> float:
    """Processor seconds so far of this process and of all it started, Spark among them."""
    here = psutil.Process()
    return sum(sum(one.cpu_times()[:2]) for one in [here, *here.children(recursive=True)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="0: the nightly alone")
    parser.add_argument("--iterations", type=int, default=SCALED.iterations)
    parser.add_argument("--months", type=int, default=ALL_MONTHS, help="0: no nightly")
    return parser.parse_args()


if __name__ == "__main__":
    main()
