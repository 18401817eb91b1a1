"""The model card: what a bundle is, how good it is and for whom, and what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from batch.outcomes import METRICS, SLICES, column_of
from models.manifest import Manifest
from models.tracking import ARTEFACT

#: The pages of the data gate, as a text of the run links to them.
DOCS: Final = f"{ARTEFACT}data_docs/index.html"


def card(manifest: Manifest, facts: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """Markdown; `facts` are the night's (see `batch.night`)."""
    gate = facts["gate"]
    return "\n".join(
        [
            f"# Bundle {manifest.bundle_id}",
            "",
            "Recommends items to people from what they did, what others did with the same items, "
            "and what items are. Candidates of "
            f"{len(manifest.sources)} sources ({', '.join(manifest.sources)}), ordered by "
            + ("LambdaMART." if "ranker.txt" in manifest.files else "a fixed blend (no ranker)."),
            "",
            f"- Events before {_day(manifest.cut_ms)} UTC; {manifest.items:,} items; "
            f"declaration `{manifest.fingerprint}`",
            f"- Gate: {'passed' if not gate['reasons'] else 'refused'}"
            + "".join(f"\n  - {reason}" for reason in (*gate["reasons"], *gate["notes"])),
            "",
            "## How good",
            "",
            *_measures(facts),
            "",
            "## Data",
            "",
            "| topic | messages | invalid |",
            "|---|---|---|",
            *(f"| {t} | {x['rows']:,} | {x['invalid']:,} |" for t, x in facts["landed"].items()),
            "",
            f"The data gate's checks: [Data Docs]({DOCS}), among the artefacts of the run.",
            "",
            "## Not for",
            "",
            "- People and items of another shop: ids mean nothing elsewhere.",
            "- Claims of cause. These are lists that agree with what people took next; whether a "
            "list changes what they take needs an experiment.",
            "- Decisions about people. Erased users are not in it; a bundle made before an "
            "erasure holds the person until the next night.",
            "",
            "## Recipe",
            "",
            *(f"- `{name}` = {value}" for name, value in sorted(params.items())),
            "",
        ]
    )


def _measures(facts: Mapping[str, Any]) -> list[str]:
    measures = facts["measures"]
    if measures is None:
        return ["Not measured: there were no baskets to test on."]
    slices, against = facts["slices"], facts["gate"]["against"]
    lines = [
        f"Figures at {measures['k']} of the next basket, over the full catalogue, on "
        f"{measures['baskets']:,} baskets of {measures['users']:,} people that no part of the "
        "measured models had seen; the published sources are refitted on everything.",
        "",
        "| slice | NDCG | Recall | MRR | HR | NDCG against the champion, same baskets |",
        "|---|---|---|---|---|---|",
    ]
    for name, said in SLICES.items():
        if name in slices:
            gap = against.get(name)
            beside = f"{gap['mean']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]" if gap else "–"
            figures = (slices[name], *(slices[column_of(metric, name)] for metric in METRICS))
            told = " | ".join(f"{figure:.4f}" for figure in figures)
            lines.append(f"| {said} | {told} | {beside} |")
    singles = {n: v for n, v in measures["ndcg"].items() if n != "served"}
    alone = ", ".join(f"{n} {v:.4f}" for n, v in sorted(singles.items(), key=lambda p: -p[1]))
    return [*lines, "", f"NDCG of each source alone: {alone}."]


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
