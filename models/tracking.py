"""What analysts see of a night in MLflow: one run with named children, as data and its writer.

A `Record` says what a run holds; `log` writes it. So a night can be described, and tested, without
a server.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

#: MLflow refuses longer values of parameters and tags.
LONGEST_PARAM: Final = 6_000
LONGEST_TAG: Final = 8_000
#: Before a path in a text's link: an artefact of the text's own run. `log` makes an address of it.
ARTEFACT: Final = "artefact:"


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a run read: `where` is an address for people, `content` what tells two readings apart.

    `content` is topic -> partition -> next offset.
    """

    name: str
    where: str
    content: Mapping[str, Mapping[str, int]]

    @property
    def digest(self) -> str:
        """Eight hex digits over the content: the same offsets, the same digest."""
        said = repr(sorted((topic, sorted(ends.items())) for topic, ends in self.content.items()))
        return hashlib.sha256(said.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Record:
    """One run: `curves` are metrics by step, `texts` artefacts by path, `files` what to upload.

    `files` is artefact folder -> local file or directory ('' is the root).
    """

    name: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, Path]] = ()
    dataset: Dataset | None = None
    description: str = ""
    children: Sequence[Record] = ()


def log(record: Record, mlflow: Any, client: Any, run: Any) -> None:
    """Writes `record` into a run that is open, and each child into a run of its own below it.

    `mlflow` is the module: importing it takes seconds, so whoever has it passes it. `run` is
    MLflow's.
    """
    entities, run_id = mlflow.entities, run.info.run_id
    # A page of the same UI: no host, nobody's credentials. The query makes a browser load it anew,
    # because the view of artefacts reads its address only once.
    page = f"experiments/{run.info.experiment_id}/runs/{run_id}/artifacts"
    home = f"?run={run_id}#/{page}/"
    tags = dict(record.tags)
    if record.description:
        tags["mlflow.note.content"] = record.description.replace(ARTEFACT, home)
    client.log_batch(
        run_id,
        metrics=[entities.Metric(*point) for point in _points(record)],
        params=[entities.Param(n, str(v)[:LONGEST_PARAM]) for n, v in record.params.items()],
        tags=[entities.RunTag(name, value[:LONGEST_TAG]) for name, value in tags.items()],
    )
    for path, text in record.texts.items():
        client.log_text(run_id, text.replace(ARTEFACT, home), path)
    for folder, local in record.files:
        upload = client.log_artifacts if local.is_dir() else client.log_artifact
        upload(run_id, str(local), folder or None)
    if record.dataset:
        mlflow.log_input(_dataset(record.dataset), context="training")
    for child in record.children:
        with mlflow.start_run(run_name=child.name, nested=True) as below:
            log(child, mlflow, client, below)


def _points(record: Record) -> Iterator[tuple[str, float, int, int]]:
    """Name, value, time (ms) and step of every metric; what is not a number is left out."""
    now = time.time_ns() // 1_000_000
    curves = {**{name: [value] for name, value in record.metrics.items()}, **record.curves}
    for name, curve in curves.items():
        for step, value in enumerate(curve):
            if math.isfinite(value):
                yield name, float(value), now, step


def _dataset(said: Dataset) -> Any:
    from mlflow.data.http_dataset_source import HTTPDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    return MetaDataset(HTTPDatasetSource(said.where), name=said.name, digest=said.digest)
