"""A night as analysts see it: one MLflow run with children, pictures, a model card, its data."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from batch import plots, train_ranker
from batch.beyond import MMR_WEIGHTS
from batch.card import DOCS, card
from batch.files import read_json
from batch.outcomes import BESIDE_NDCG, SLICES
from batch.recipe import Recipe
from batch.stages import code_digest
from batch.validate import Report
from feature_store.declaration import Declaration
from feature_store.settings import Settings
from models.bundle import Bundle
from models.sources import SOURCES
from models.tracking import Dataset, Record

Draw = partial[Any]


@dataclass(frozen=True)
class Story:
    """Everything there is to tell: the night's directory, and the facts of its stages."""

    root: Path
    settings: Settings
    declaration: Declaration
    recipe: Recipe
    facts: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The bundle to publish."""
        return self.root / "bundle" / str(self.facts["bundle"])


def params(recipe: Recipe) -> dict[str, Any]:
    """A recipe as flat parameters."""
    said = asdict(recipe)
    als = said.pop("als")
    return {**said, **{f"als_{name}": value for name, value in als.items()}}


def describe(story: Story) -> Record:
    """The run of a night; draws its pictures into the night's directory first."""
    bundle, facts = Bundle.load(story.path, story.declaration), story.facts
    for name, draw in _pictures(story, bundle):
        plots.save(story.root / "plots" / f"{name}.png", draw)
    day = pd.Timestamp(bundle.manifest.cut_ms, unit="ms").strftime("%Y-%m-%d")
    written = card(bundle.manifest, facts, params(story.recipe))
    knows = {f"knows_{what}": float(count) for what, count in facts["knows"].items()}
    return Record(
        name=f"{day} {bundle.id}",
        description=written,
        params=params(story.recipe),
        metrics={**facts["metrics"], **knows, **_drifted(facts["reconciled"])},
        tags=_tags(story),
        texts={
            "model_card.md": written,
            "measures.json": _json(facts["measures"]),
            "gate.json": _json(facts["gate"]),
        },
        files=[(folder, path) for folder, path in _files(story) if path.exists()],
        dataset=Dataset("landed log", story.settings.lake.resolve().as_uri(), facts["offsets"]),
        children=[
            _sources(story, bundle),
            *_ranker(story, bundle),
            _evaluation(story),
            _stream(story),
            _gate(story),
        ],
    )


def refusal(night: str, found: Report) -> Record:
    """The run of a night whose data was refused."""
    said = "\n".join(f"- {failure}" for failure in found.failures)
    return Record(
        name=f"refused {night}",
        description=f"The data gate refused the data ([all checks]({DOCS})):\n{said}",
        tags={"night": night, "gate": "data refused"},
        metrics={"checks": float(found.checks), "failed": float(len(found.failures))},
        files=[("data_docs", found.docs)] if found.docs else [],
    )


def skipped(night: str, docs: Path, facts: Mapping[str, Any]) -> Record:
    """The run of a night that had no reason to learn: its data, and the drift of the stream."""
    return Record(
        name=f"not learned {night}",
        description=f"Nothing was learned: {facts['why']} ([all checks]({DOCS})).",
        tags={"night": night, "gate": "not asked", "offsets": _json(facts["offsets"])},
        metrics={
            **_drifted(facts["reconciled"]),
            **{name: float(facts[name]) for name in ("tiles", "late", "checks")},
        },
        files=[("data_docs", docs)] if docs.exists() else [],
    )


def _drifted(reconciled: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The drift of the speed layer as one number a store: the share of owned tiles put right."""
    wrong = ("missing", "different", "extra")
    return {
        f"drifted_{one['store']}": sum(one[kind] for kind in wrong) / one["owned"]
        for one in reconciled
        if one["owned"]
    }


def _tags(story: Story) -> dict[str, str]:
    return {
        "night": story.root.name,
        "git_commit": _commit(),
        "code": code_digest(),
        "declaration": story.declaration.fingerprint,
        "offsets": _json(story.facts["offsets"]),
        "gate": "refused" if story.facts["gate"]["reasons"] else "passed",
    }


def _files(story: Story) -> Iterator[tuple[str, Path]]:
    yield "plots", story.root / "plots"
    yield "data_docs", story.root / "data_docs"
    for name in ("outcomes.parquet", "rival.parquet", "days.parquet"):
        yield "tables", story.root / name


def _sources(story: Story, bundle: Bundle) -> Record:
    alone = {name: story.facts["slices"].get(name) for name in SOURCES}
    norms = np.linalg.norm(np.asarray(bundle.sources.als.factors, np.float64), axis=1)
    return Record(
        name="sources",
        params={name: value for name, value in params(story.recipe).items() if "_" in name},
        metrics={
            **{f"ndcg_{name}": value for name, value in alone.items() if value is not None},
            "als_items_trained": float(np.count_nonzero(norms)),
            "als_norm_median": float(np.median(norms[norms > 0])) if norms.any() else 0.0,
        },
    )


def _ranker(story: Story, bundle: Bundle) -> Iterator[Record]:
    if bundle.ranker is None:
        return
    curve = read_json(story.root / "curve.json") or {"ndcg": []}
    yield Record(
        name="ranker",
        params=train_ranker.PARAMETERS,
        metrics={"latency_ms": story.facts["latency_ms"] or 0.0},
        curves={"ndcg_by_trees": curve["ndcg"]},
        texts={"importance.json": _json(bundle.ranker.importance())},
    )


def _evaluation(story: Story) -> Record:
    found = story.facts["slices"]
    return Record(
        name="evaluation",
        metrics={
            **{f"ndcg_{name}": found[name] for name in (*SLICES, *SOURCES) if name in found},
            **{name: found[name] for name in BESIDE_NDCG if name in found},
            **story.facts["beyond"],
        },
    )


def _stream(story: Story) -> Record:
    """How far the speed layer was off: tiles put right, and served vectors that differ."""
    metrics, skew = {}, story.facts["skew"] or {}
    for one in story.facts["reconciled"]:
        for name in ("owned", "missing", "different", "extra", "bases", "young", "ahead"):
            metrics[f"{one['store']}_{name}"] = float(one[name])
        for feature, drift in one["drift"].items():
            metrics[f"{one['store']}.{feature}_tiles"] = float(drift["tiles"])
            metrics[f"{one['store']}.{feature}_by"] = float(drift["by"])
    said = {name: skew[name] for name in ("compared", "mismatched", "missing", "moving") if skew}
    return Record(
        name="stream",
        metrics={**metrics, **{f"vectors_{name}": float(count) for name, count in said.items()}},
        texts={"skew.json": _json(skew)} if skew else {},
        description=story.facts["not_compared"],
    )


def _gate(story: Story) -> Record:
    gate = story.facts["gate"]
    gaps = {
        f"{column}_{end}": gap[end]
        for column, gap in gate["against"].items()
        for end in ("mean", "low", "high")
    }
    said = "\n".join(f"- {reason}" for reason in (*gate["reasons"], *gate["notes"])) or "- passed"
    rival = {"champion": str(story.facts["rival"])} if story.facts["rival"] else {}
    return Record(name="gate", metrics=gaps, tags=rival, description=said)


def _pictures(story: Story, bundle: Bundle) -> Iterator[tuple[str, Draw]]:
    facts, root = story.facts, story.root
    sources = bundle.sources
    yield (
        "factor_norms",
        partial(plots.factor_norms, factors=sources.als.factors, popularity=sources.popularity),
    )
    if facts["measures"]:
        yield "lists", partial(plots.lists, ndcg=facts["measures"]["ndcg"])
    if told := facts["beyond"]:
        served, without = told["ndcg_mmr_0.0"], {n: told[f"ndcg_without_{n}"] for n in SOURCES}
        yield "ablation", partial(plots.ablation, served=served, without=without)
        mixed = {w: (told[f"diversity_mmr_{w}"], told[f"ndcg_mmr_{w}"]) for w in MMR_WEIGHTS}
        yield "diversity", partial(plots.diversity, by_weight=mixed)
    if drift := _drift(facts["reconciled"]):
        yield "drift_stream", partial(plots.stream, tiles=drift)
    if facts["gate"]["against"]:
        rival = f"champion {facts['rival']}"
        yield "champion", partial(plots.against, differences=facts["gate"]["against"], rival=rival)
    if (root / "days.parquet").exists():
        days = pd.read_parquet(root / "days.parquet")
        for what in ("kind", "category"):
            yield f"drift_{what}", partial(plots.shares, days=days, what=what)
    if bundle.ranker and (root / "sample.npz").exists():
        sample, curve = np.load(root / "sample.npz"), read_json(root / "curve.json")
        yield "importance", partial(plots.importance, gains=bundle.ranker.importance())
        yield (
            "learning_curve",
            partial(plots.learning_curve, trees=curve["trees"], ndcg=curve["ndcg"]),
        )
        yield "contributions", partial(
            plots.contributions,
            columns=bundle.manifest.columns, rows=sample["rows"], added=sample["added"],
        )  # fmt: skip


def _drift(reconciled: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Store -> feature -> tiles put right, of stores that had any."""
    found = {
        one["store"]: {name: drift["tiles"] for name, drift in one["drift"].items()}
        for one in reconciled
    }
    return {store: drift for store, drift in found.items() if drift}


def _commit() -> str:
    """The commit of the code, where it runs from a checkout."""
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "not in a checkout"


def _json(said: Any) -> str:
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(said, option=options).decode()
