"""The last lines of a nightly: what was landed, learned, measured and decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batch.beyond import MMR_WEIGHTS

#: Features named of a store that drifted.
WORST: Final = 3


def print_summary(facts: Mapping[str, Any]) -> None:
    """Prints the summary that `nightly.json` holds."""
    for line in lines(facts):
        print(f"[nightly] {line}", flush=True)


def lines(facts: Mapping[str, Any]) -> list[str]:
    """The summary as lines of text."""
    landed = facts["landed"].items()
    return [
        *(f"landed {topic}: {x['rows']} rows, {x['invalid']} invalid" for topic, x in landed),
        f"recounted {facts['tiles']} tiles; {facts['checks']} data checks passed",
        *(_drift(one) for one in facts["reconciled"]),
        f"why learn: {facts['why']}",
        *(_learned(facts) if "gate" in facts else ["learned nothing"]),
        f"champion: version {facts['champion']}, bundle {facts['champion_bundle']}",
        f"{sum(facts['seconds'].values()):.1f} s after Spark's start",
    ]


def _drift(one: Mapping[str, Any]) -> str:
    """What the stream had got wrong in one store, the worst features first."""
    if one["unavailable"]:
        return f"drift of {one['store']}: NOT known, {one['unavailable']}"
    wrong = one["missing"] + one["different"] + one["extra"]
    worst = sorted(one["drift"].items(), key=lambda pair: -pair[1]["tiles"])[:WORST]
    said = (f"{name} in {drift['tiles']}, by {drift['by']}" for name, drift in worst)
    spared = one["spared"]
    kept = (
        [f"{spared} left: they count more than a lake that Kafka left a gap in"] if spared else []
    )
    return "; ".join(
        (f"drift of {one['store']}: {wrong} of {one['owned']} owned tiles", *said, *kept)
    )


def _skew(facts: Mapping[str, Any]) -> str:
    """Served vectors beside the log."""
    if facts["skew"] is None:
        return f"served vectors: not compared, {facts['not_compared']}"
    skew = facts["skew"]
    return (
        f"served vectors: {skew['mismatched']} of {skew['compared']} differ from the log "
        f"({skew['missing']} not offered by it), {skew['moving']} in motion passed over"
    )


def _learned(facts: Mapping[str, Any]) -> list[str]:
    gate = facts["gate"]
    return [
        _skew(facts),
        *_measures(facts["measures"]),
        *variety(facts["beyond"]),
        *_against(facts),
        f"gate: refused, {'; '.join(gate['reasons'])}" if gate["reasons"] else "gate: passed",
        *(f"note: {note}" for note in gate["notes"]),
        *facts["lists"],
    ]


def _against(facts: Mapping[str, Any]) -> list[str]:
    """The champion on the same baskets."""
    gap = facts["gate"]["against"].get("served")
    if gap is None:
        return []
    interval = f"{gap['mean']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"
    return [f"served less champion {facts['rival']} on the same baskets: {interval}"]


def variety(beyond: Mapping[str, float]) -> list[str]:
    """What more variety would cost, weight by weight."""
    before = beyond.get("ndcg_mmr_0.0")
    if not before:
        return []
    prices = (
        f"weight {weight} costs {1 - beyond[f'ndcg_mmr_{weight}'] / before:.1%} of NDCG, "
        f"{beyond[f'diversity_mmr_{weight}']:.3f} of pairs differ"
        for weight in MMR_WEIGHTS[1:]
    )
    return [f"variety (MMR): {'; '.join(prices)} ({beyond['diversity_mmr_0.0']:.3f} without)"]


def _measures(measures: Mapping[str, Any] | None) -> list[str]:
    if measures is None:
        return ["measured: nothing, there were no baskets to test on"]
    ndcg = ", ".join(f"{name} {value:.4f}" for name, value in measures["ndcg"].items())
    gain = measures["gain"]
    return [
        f"NDCG@{measures['k']} on {measures['baskets']} next baskets "
        f"of {measures['users']} users: {ndcg}",
        f"served less {measures['best_single']}: {gain['mean']:+.4f} "
        f"[{gain['low']:+.4f}, {gain['high']:+.4f}]; retrieval recall "
        f"{measures['retrieval_recall']:.3f}, oracle NDCG {measures['oracle_ndcg']:.3f}",
    ]
