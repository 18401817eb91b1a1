"""The notebook that compares two champions, on versions that were tested on the same baskets."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from batch.outcomes import Outcomes
from infra.stack.home import REPOSITORY
from models.registry import Registry
from models.tracking import Record
from tests.unit.batch.market import Model, learned, market, popularity_ranker

NOTEBOOK = REPOSITORY / "notebooks" / "comparing-two-champions.ipynb"


@pytest.fixture(scope="module")
def honest() -> Model:
    return learned(market())


def register(registry: Registry, root: Path, model: Model) -> Outcomes:
    """A version with the table that a night leaves in its run."""
    path, measured = model.write(root)
    found = model.outcomes
    found.write(root / "outcomes.parquet")
    figures = {"ndcg_served": found.mean("served")}
    files = [("tables", root / "outcomes.parquet")]
    registry.publish(path, Record(metrics=figures, files=files), measured=measured)
    return found


def test_the_newest_version_is_compared_with_the_one_before(
    honest: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = {"MLFLOW": f"sqlite:///{tmp_path}/mlflow.db", "NAMESPACE": "compared"}
    for name, value in {f"MILLRACE_{n}": v for n, v in told.items()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    registry = Registry(told["MLFLOW"], told["NAMESPACE"])
    worse = Model(honest.past, honest.measured, honest.everything, popularity_ranker())
    before, now = (
        register(registry, tmp_path / name, model)
        for name, model in (("one", honest), ("two", worse))
    )

    book = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(book, timeout=300).execute()

    said = "\n".join(text for cell in book.cells for text in texts(cell))
    assert f"version 2 beside 1: {len(now.rows)} baskets in common" in said
    listed = [f"{found.mean('served'):.6f}" for found in (before, now)]
    assert listed[0] != listed[1]
    assert all(figure in said for figure in listed), said
    pictures = [output for cell in book.cells for output in cell.get("outputs", ())
                if "image/png" in output.get("data", {})]  # fmt: skip
    assert len(pictures) == 3


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell printed or showed, without runs of blanks."""
    shown = [
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell.get("outputs", ())
    ]
    return [re.sub(r" +", " ", text) for text in shown]
