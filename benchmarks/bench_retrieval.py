"""Q1: blended candidate sources on gowalla, by the protocol of the published tables.

    make bench-retrieval                        # about half an hour on two cores
    make bench-retrieval ARGS="--quick"         # one setting a side, a sample of test: a check

Every side is tuned on train -> valid only, by NDCG@20 of a fixed sample of people, over the
settings in `retrieval_sides.py`; so are the blend's weights. What was chosen is fitted again on
train + valid and met with test once. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from batch.session import session
from benchmarks.gowalla import Gowalla, Quality, Scorer, Scorers, measure, someone
from benchmarks.retrieval_sides import BLENDED, SIDES, WEIGHTS
from benchmarks.stage import machine, report, say
from models.interactions import Floats, Ints

#: NDCG@20 as printed by the papers; how they chose their settings is not always said.
PUBLISHED: Final = {
    "ItemKNN": 0.1214, "EASE": 0.1467, "GF-CF": 0.1518, "LightGCN": 0.1547, "SimpleX": 0.1557,
    "UltraGCN": 0.1580,
}  # fmt: skip
#: People of valid that settings and weights are tuned on; and of a quick look, of test too.
VALID, QUICK_VALID, QUICK_TEST = 1_000, 400, 3_000
#: What the blend is called among the sides.
OURS: Final = "blend"


@dataclass(frozen=True)
class Chosen:
    """The best setting of a side, its quality on valid, and its scorer fitted on train."""

    setting: Mapping[str, Any]
    quality: Quality
    scorer: Scorer


def main() -> None:
    begun, options = time.time(), _arguments()
    data, spark = Gowalla.read(), session("bench-retrieval")
    people = someone(data.valid, QUICK_VALID if options.quick else VALID)
    asked = someone(data.test, QUICK_TEST if options.quick else None)
    budget = 1 if options.quick else None
    chosen = {name: tune(name, data, people, spark, budget) for name in SIDES}
    weights = tune_blend({name: chosen[name].scorer for name in BLENDED}, data, people)
    say(f"blend on valid: {weights}")
    final = {
        name: next(SIDES[name].fit(data.known, [one.setting], spark))
        for name, one in chosen.items()
    }
    test = measure(beside(final, weights), data.known, data.test, asked)
    table(chosen, test)
    figures = {
        "recall@20": round(test[OURS].recall, 4),
        "ndcg@20": round(test[OURS].ndcg, 4),
        "baselines": {name: _rounded(one) for name, one in test.items() if name != OURS},
        "published_ndcg@20": PUBLISHED,
        "people": {"tuned_on": len(people), "tested_on": len(asked)},
        "weights": weights,
        "settings": {name: _plain(one.setting) for name, one in chosen.items()},
        "seconds": round(time.time() - begun),
        "processor_s": round(sum(os.times()[:4])),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **machine(),
    }
    report("retrieval", figures)


def tune(name: str, data: Gowalla, people: Ints, spark: Any, budget: int | None) -> Chosen:
    """Tries the settings of a side on train -> valid, the first `budget` of them or all."""
    tried, settings = [], SIDES[name].settings[:budget]
    for setting, scorer in zip(settings, SIDES[name].fit(data.train, settings, spark), strict=True):
        alone = measure(beside({name: scorer}, {}), data.train, data.valid, people)[name]
        say(f"{name} {_plain(setting)}: NDCG {alone.ndcg:.4f}, recall {alone.recall:.4f} on valid")
        tried.append(Chosen(setting, alone, scorer))
    return max(tried, key=lambda one: one.quality.ndcg)


def tune_blend(scorers: Mapping[str, Scorer], data: Gowalla, people: Ints) -> dict[str, float]:
    """The weights with the best NDCG on valid, the strongest weight being 1."""
    tried = {
        str(number): dict(zip(scorers, weights, strict=True))
        for number, weights in enumerate(itertools.product(WEIGHTS, repeat=len(scorers)))
        if max(weights) == max(WEIGHTS)
    }

    def blends(block: Ints) -> Iterator[tuple[str, Floats]]:
        scores = {name: standardised(scorer(block)) for name, scorer in scorers.items()}
        for number, weights in tried.items():
            yield number, blend(scores, weights)

    told = measure(blends, data.train, data.valid, people)
    return tried[max(told, key=lambda number: told[number].ndcg)]


def beside(scorers: Mapping[str, Scorer], weights: Mapping[str, float]) -> Scorers:
    """Every side alone and, where there are weights, their blend as the last."""

    def sides(block: Ints) -> Iterator[tuple[str, Floats]]:
        scores = {}
        for name, scorer in scorers.items():
            alone = scorer(block)
            if name in weights:
                scores[name] = standardised(alone)
            yield name, alone
        if weights:
            yield OURS, blend(scores, weights)

    return sides


def blend(scores: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """The weighted sum of standardised scores."""
    total = np.zeros_like(next(iter(scores.values())))
    for name, weight in weights.items():
        if weight:
            total += np.float32(weight) * scores[name]
    return total


def standardised(scores: Floats) -> Floats:
    """Scores in units of their spread over a person's whole catalogue."""
    spread: Floats = scores.std(axis=1, keepdims=True)
    return scores / np.maximum(spread, np.float32(1e-9))


def table(chosen: Mapping[str, Chosen], test: Mapping[str, Quality]) -> None:
    """Every side on valid and on test."""
    say(f"{'':12} valid NDCG   test NDCG  recall")
    for name, one in test.items():
        before = f"{chosen[name].quality.ndcg:.4f}" if name in chosen else ""
        say(f"{name:12} {before:>10}  {one.ndcg:10.4f}  {one.recall:6.4f}")
    for name, ndcg in PUBLISHED.items():
        say(f"{name:12} {'':10}  {ndcg:10.4f}  (published)")


def _rounded(quality: Quality) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(quality).items()}


def _plain(setting: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, (int, float)) else asdict(value)
        for name, value in setting.items()
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="one setting a side, fewer people")
    return parser.parse_args()


if __name__ == "__main__":
    main()
