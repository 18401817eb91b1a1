"""One bundle: everything the API loads to answer, immutable, hashed as a whole, free of pickle.

A directory of `manifest.json`, `.npy` arrays (mapped, not copied), JSON, and the ranker's text.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from feature_store.declaration import Declaration
from feature_store.stores.base import UserState
from feature_store.vectors import ItemColumns
from models import bounds
from models.als import Als, Rule
from models.inner_product import NormOrder
from models.interactions import Floats
from models.linear import Linear
from models.manifest import BundleDamaged, BundleRefused, Manifest, digest, verify
from models.neighbours import Neighbours
from models.own import OwnHistory
from models.ranker import Ranker
from models.repeats import Repeats
from models.retrieval import Candidates, retrieve
from models.rows import columns, rows
from models.shelf import Shelf
from models.sources import SOURCES, Sources

__all__ = ["Bundle", "BundleRefused", "Catalogue", "write"]

RANKER = "ranker.txt"
#: The arrays of `OwnHistory`, in the order of its fields.
OWN = ("indptr", "items", "strengths", "bought", "first", "last", "turn", "newest", "turns")
#: The arrays of `Linear`, in the order of its fields.
LINEAR = ("items", "near", "weights")
#: The arrays of `Shelf` that are its own.
SHELF = ("indptr", "items", "shares")


@dataclass(frozen=True)
class Catalogue:
    """What people call things: titles by item, category paths and brands by code."""

    titles: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    brands: tuple[str, ...]


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle. `ranker` is None when there was too little history to learn one."""

    manifest: Manifest
    sources: Sources
    catalogue: Catalogue
    ranker: Ranker | None

    @property
    def id(self) -> str:
        """What every answer made with this bundle carries."""
        return self.manifest.bundle_id

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The one list of items: all positions refer to it."""
        return self.sources.item_ids

    @property
    def index_of(self) -> Mapping[str, int]:
        """Item id -> position."""
        return self.sources.index_of

    def positions_of(self, ids: Iterable[str]) -> frozenset[int]:
        """Of those among some items that it knows."""
        return frozenset(self.index_of[item] for item in ids if item in self.index_of)

    @property
    def columns(self) -> ItemColumns:
        """Item attributes, with the windows as of the cut: where a server starts from."""
        return self.sources.columns

    def answer(
        self, declaration: Declaration, user: UserState, now: int
    ) -> tuple[Candidates, Floats]:
        """Candidates as of `now` (ms) and their scores, with the items as they were at the cut.

        For trying a bundle out: serving knows the items of this moment.
        """
        found = retrieve(self.sources, user, now)
        if self.ranker is None:
            return found, found.blended()
        matrix = rows(declaration, self.sources, self.columns, user, found, now)
        return found, self.ranker.predict(matrix)

    @classmethod
    def load(cls, path: Path, declaration: Declaration) -> Bundle:
        """Verifies and maps a bundle; raises `BundleRefused` with the reason."""
        manifest = Manifest.read(path)
        _agrees(manifest, declaration)
        verify(path, manifest.files)
        try:
            return _load(path, manifest)
        except OSError as error:
            raise BundleDamaged(f"{path} cannot be read: {error}") from error
        except ValueError as error:
            raise BundleRefused(f"{path}: {error}") from error
        except (TypeError, LookupError, AttributeError, RecursionError) as error:
            raise BundleRefused(f"{path} is sealed well and made badly: {error!r}") from error


def write(
    root: Path,
    declaration: Declaration,
    sources: Sources,
    catalogue: Catalogue,
    ranker: Ranker | None,
    rules: Mapping[str, Any],
    offsets: Mapping[str, Mapping[str, int]],
) -> Path:
    """Writes a bundle to `root/<bundle id>`, whole or not at all, and returns its directory."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=root) as name:
        draft = Path(name) / "bundle"
        draft.mkdir()
        _write_files(draft, sources, catalogue, ranker)
        manifest = Manifest(
            fingerprint=declaration.fingerprint,
            columns=columns(declaration),
            sources=SOURCES,
            items=len(sources.item_ids),
            cut_ms=sources.cut_ms,
            rules={
                **rules,
                "als": asdict(sources.als.rule),
                "own_half_life_days": sources.own.half_life_days,
            },
            offsets=offsets,
            files={path.name: digest(path) for path in sorted(draft.iterdir())},
            created_at=time.time_ns() // 1_000_000,
        )
        manifest.write(draft)
        final = root / manifest.bundle_id
        if not final.exists():
            draft.rename(final)
    return final


def _agrees(manifest: Manifest, declaration: Declaration) -> None:
    if manifest.fingerprint != declaration.fingerprint:
        raise BundleRefused(
            f"made for declaration {manifest.fingerprint}, this process runs "
            f"{declaration.fingerprint}: run the nightly with this MILLRACE_FEATURES"
        )
    if manifest.columns != columns(declaration) or manifest.sources != SOURCES:
        raise BundleRefused("the ranker's columns are not this code's: run the nightly again")


def _arrays(sources: Sources) -> dict[str, npt.NDArray[Any]]:
    return {
        "windows": sources.columns.windows,
        "category": sources.columns.category,
        "brand": sources.columns.brand,
        "price_minor": sources.columns.price_minor,
        "als_factors": sources.als.factors,
        "als_order": sources.als.by_norm.order,
        "als_norms": sources.als.by_norm.norms,
        "als_scales": sources.als.by_norm.scales,
        "als_codes": sources.als.by_norm.codes,
        **{f"own_{part}": getattr(sources.own, part) for part in OWN},
        "covisitation_items": sources.covisitation.items,
        "covisitation_weights": sources.covisitation.weights,
        **{f"linear_{part}": getattr(sources.linear, part) for part in LINEAR},
        "content_items": sources.content.items,
        "content_weights": sources.content.weights,
        "popularity": sources.popularity,
        **{f"shelf_{part}": getattr(sources.shelf, part) for part in SHELF},
        "repeat_share": sources.repeats.share,
        "repeat_days": sources.repeats.days,
    }


def _write_files(
    directory: Path, sources: Sources, catalogue: Catalogue, ranker: Ranker | None
) -> None:
    for name, array in (*_arrays(sources).items(), ("als_gram", sources.als.gram)):
        np.save(directory / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
    rows = sorted(sources.own.row_of, key=lambda actor: sources.own.row_of[actor])
    texts = {"item_ids": sources.item_ids, "actors": rows, "catalogue": asdict(catalogue)}
    for name, said in texts.items():
        (directory / f"{name}.json").write_bytes(orjson.dumps(said))
    if ranker:
        (directory / RANKER).write_text(ranker.text)


def _load(path: Path, manifest: Manifest) -> Bundle:
    def verified(name: str) -> Path:
        if name not in manifest.files:  # it may lie there, but nobody has vouched for it
            raise BundleRefused(f"{name} is not in the manifest of {path}")
        return path / name

    def array(name: str, mode: Literal["r", "c"] = "r") -> npt.NDArray[Any]:
        # A plain view: indexing a memmap was measured to cost microseconds more each time.
        return np.asarray(np.load(verified(f"{name}.npy"), mode, allow_pickle=False))

    def text(name: str) -> Any:
        return orjson.loads(verified(f"{name}.json").read_bytes())

    item_ids = tuple(text("item_ids"))
    said = text("catalogue")
    sources = Sources(
        cut_ms=manifest.cut_ms,
        item_ids=item_ids,
        index_of={item: position for position, item in enumerate(item_ids)},
        columns=ItemColumns(
            # Serving writes the moment's values over those of the cut, page by page its own.
            array("windows", "c"),
            array("category"),
            array("brand"),
            array("price_minor"),
        ),
        als=Als(
            Rule(**manifest.rules["als"]),
            array("als_factors"),
            array("als_gram"),
            NormOrder(
                array("als_order"), array("als_norms"), array("als_scales"), array("als_codes")
            ),
        ),
        own=OwnHistory(
            manifest.cut_ms,
            manifest.rules["own_half_life_days"],
            {actor: row for row, actor in enumerate(text("actors"))},
            *(array(f"own_{part}") for part in OWN),
        ),
        covisitation=Neighbours(array("covisitation_items"), array("covisitation_weights")),
        linear=Linear(*(array(f"linear_{part}") for part in LINEAR)),
        content=Neighbours(array("content_items"), array("content_weights")),
        popularity=array("popularity"),
        shelf=Shelf(array("category"), *(array(f"shelf_{part}") for part in SHELF)),
        repeats=Repeats(array("repeat_share"), array("repeat_days")),
    )
    _same_length(sources)
    bounds.check(sources)
    Als.check(sources.als.gram)
    return Bundle(
        manifest,
        sources,
        Catalogue(
            tuple(said["titles"]), tuple(map(tuple, said["categories"])), tuple(said["brands"])
        ),
        Ranker.load(path / RANKER, manifest.columns) if RANKER in manifest.files else None,
    )


def _same_length(sources: Sources) -> None:
    apart = ("own_", "shelf_", "linear_", "als_codes")
    for name, array in _arrays(sources).items():
        if not name.startswith(apart) and len(array) != len(sources.item_ids):
            raise BundleRefused(f"{name} has {len(array)} rows, item_ids {len(sources.item_ids)}")
