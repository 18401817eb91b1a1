"""A bundle is one hash: anything that does not fit is refused, with the reason."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from feature_store.declaration import Declaration
from models.bundle import Bundle, BundleRefused, write
from models.manifest import Manifest, digest
from models.retrieval import retrieve
from tests.unit.models.builders import DECLARATION, NOW, catalogue, log, recent, sources, user

HISTORY = log(
    ("ann", "milk", "purchase", 1.0),
    ("ann", "bread", "purchase", 1.0),
    ("bob", "milk", "purchase", 2.0),
    ("bob", "jam", "view", 2.0),
)


def published(root: Path) -> Path:
    return write(root, DECLARATION, sources(HISTORY), catalogue(), None, {}, {"t": {"0": 7}})


def test_a_written_bundle_loads_and_answers_as_the_fitted_sources_do(tmp_path: Path) -> None:
    bundle = Bundle.load(published(tmp_path), DECLARATION)
    ann = user("ann", recent("tea", "view"))
    loaded, fitted = (retrieve(s, ann, NOW) for s in (bundle.sources, sources(HISTORY)))
    np.testing.assert_array_equal(loaded.positions, fitted.positions)
    np.testing.assert_array_equal(loaded.scores, fitted.scores)
    assert bundle.catalogue == catalogue()
    assert bundle.manifest.offsets == {"t": {"0": 7}}


def test_the_same_content_has_the_same_id_whenever_it_is_written(tmp_path: Path) -> None:
    assert published(tmp_path / "a").name == published(tmp_path / "b").name


def test_one_changed_byte_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path)
    array = path / "popularity.npy"
    array.write_bytes(array.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BundleRefused, match=r"popularity\.npy"):
        Bundle.load(path, DECLARATION)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path)
    (path / "item_ids.json").unlink()
    with pytest.raises(BundleRefused, match=r"item_ids\.json is missing"):
        Bundle.load(path, DECLARATION)


def test_an_edited_manifest_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path)
    said = orjson.loads((path / "manifest.json").read_bytes())
    said["cut_ms"] += 1
    (path / "manifest.json").write_bytes(orjson.dumps(said))
    with pytest.raises(BundleRefused, match="does not match its id"):
        Bundle.load(path, DECLARATION)


def test_a_bundle_for_another_declaration_is_refused(tmp_path: Path) -> None:
    other = Declaration(DECLARATION.features[1:])
    with pytest.raises(BundleRefused, match="MILLRACE_FEATURES"):
        Bundle.load(published(tmp_path), other)


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="cannot be read"):
        Bundle.load(tmp_path, DECLARATION)


def test_arrays_that_hold_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = published(tmp_path)
    evil = tmp_path / "evil"
    shutil.copytree(path, evil)
    np.save(evil / "popularity.npy", np.asarray([{"a": 1}], dtype=object), allow_pickle=True)
    said = orjson.loads((evil / "manifest.json").read_bytes())
    said.pop("bundle_id")
    said["files"]["popularity.npy"] = digest(evil / "popularity.npy")
    Manifest(**said | {k: tuple(said[k]) for k in ("columns", "sources")}).write(evil)
    with pytest.raises(BundleRefused, match=r"pickle|object"):
        Bundle.load(evil, DECLARATION)


def resealed(path: Path, files: dict[str, str]) -> Path:
    """The bundle with a manifest that is sound in itself and says `files`."""
    said = orjson.loads((path / "manifest.json").read_bytes()) | {"files": files}
    said.pop("bundle_id")
    Manifest(**said | {k: tuple(said[k]) for k in ("columns", "sources")}).write(path)
    return path


def test_factors_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    found = sources(HISTORY)
    damaged = replace(found, als=replace(found.als, gram=found.als.gram * np.nan))
    path = write(tmp_path, DECLARATION, damaged, catalogue(), None, {}, {})
    with pytest.raises(BundleRefused, match="not finite"):
        Bundle.load(path, DECLARATION)


@pytest.mark.parametrize(
    ("source", "array", "value"),
    [
        ("covisitation", "items", 99), ("covisitation", "items", -2), ("content", "items", 6),
        ("linear", "near", 6), ("linear", "items", 6), ("shelf", "items", -1), ("own", "items", 6),
        ("own", "indptr", 99), ("shelf", "indptr", -1),
    ],
)  # fmt: skip
def test_indices_that_point_outside_are_refused(
    tmp_path: Path, source: str, array: str, value: int
) -> None:
    """The hashes are right; but a kernel would read or write whatever lies there."""
    found = sources(HISTORY)
    part = getattr(found, source)
    damaged = getattr(part, array).copy()
    damaged.flat[-1] = value
    evil = replace(found, **{source: replace(part, **{array: damaged})})  # type: ignore[arg-type]
    path = write(tmp_path, DECLARATION, evil, catalogue(), None, {}, {})
    with pytest.raises(BundleRefused, match=r"points outside|does not divide"):
        Bundle.load(path, DECLARATION)


def test_arrays_of_different_lengths_are_refused(tmp_path: Path) -> None:
    found = sources(HISTORY)
    evil = replace(found, own=replace(found.own, turn=found.own.turn[:-1]))
    path = write(tmp_path, DECLARATION, evil, catalogue(), None, {}, {})
    with pytest.raises(BundleRefused, match="differ in their shapes"):
        Bundle.load(path, DECLARATION)


def test_a_rule_that_this_release_does_not_know_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path)
    said = orjson.loads((path / "manifest.json").read_bytes())
    said.pop("bundle_id")
    said["rules"]["als"]["of_tomorrow"] = 1
    Manifest(**said | {k: tuple(said[k]) for k in ("columns", "sources")}).write(path)
    with pytest.raises(BundleRefused, match="of_tomorrow"):
        Bundle.load(path, DECLARATION)


def test_a_file_that_nobody_vouched_for_is_not_loaded(tmp_path: Path) -> None:
    path = published(tmp_path)
    files = dict(Manifest.read(path).files)
    files.pop("popularity.npy")
    with pytest.raises(BundleRefused, match=r"popularity\.npy is not in the manifest"):
        Bundle.load(resealed(path, files), DECLARATION)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../outside", ".."])
def test_a_manifest_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    path = published(tmp_path / "bundles")
    outside = tmp_path / "bundles" / "outside"
    outside.write_bytes(b"secret")
    files = dict(Manifest.read(path).files) | {name: digest(outside)}
    with pytest.raises(BundleRefused):
        Bundle.load(resealed(path, files), DECLARATION)


def test_a_bundle_of_an_empty_log_still_loads_and_offers_nothing(tmp_path: Path) -> None:
    empty = HISTORY.before(0)
    path = write(tmp_path, DECLARATION, sources(empty), catalogue(), None, {}, {})
    bundle = Bundle.load(path, DECLARATION)
    assert len(retrieve(bundle.sources, user("new"), NOW).positions) == 0
