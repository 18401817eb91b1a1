"""The manifest of a bundle: what is in the directory, made from what, and one hash over it all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import orjson

NAME: Final = "manifest.json"
FORMAT: Final = 1


class BundleRefused(Exception):
    """A bundle that must not be served; the message says why. The old bundle keeps serving."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BundleDamaged(BundleRefused):
    """Not what was published: another copy of the same bundle may be sound."""


@dataclass(frozen=True)
class Manifest:
    """What a bundle says about itself.

    `files` is file name -> sha256; `columns` the ranker's columns in order; `rules` how the
    sources were fitted; `cut_ms` is exclusive: no event at or after it was used; `offsets` is
    topic -> partition -> next offset landed when it was made.
    """

    fingerprint: str
    columns: tuple[str, ...]
    sources: tuple[str, ...]
    items: int
    cut_ms: int
    rules: Mapping[str, Any]
    offsets: Mapping[str, Mapping[str, int]]
    files: Mapping[str, str]
    created_at: int
    format: int = FORMAT

    @cached_property
    def bundle_id(self) -> str:
        """16 hex digits over everything but the time of making: the same content, the same id."""
        said = {key: value for key, value in asdict(self).items() if key != "created_at"}
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

    def write(self, directory: Path) -> None:
        """Writes `manifest.json`."""
        said = {"bundle_id": self.bundle_id, **asdict(self)}
        text = orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        (directory / NAME).write_bytes(text)

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """Reads `manifest.json`; raises `BundleDamaged` unless it is what its own id says."""
        try:
            said = orjson.loads((directory / NAME).read_bytes())
            bundle_id = said.pop("bundle_id")
            if said["format"] != FORMAT:
                raise BundleRefused(f"bundle format {said['format']}, this code reads {FORMAT}")
            said.update(columns=tuple(said["columns"]), sources=tuple(said["sources"]))
            manifest = cls(**said)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleDamaged(f"{directory / NAME} cannot be read: {error!r}") from error
        if manifest.bundle_id != bundle_id:
            raise BundleDamaged(f"{directory}: the manifest does not match its id {bundle_id}")
        return manifest


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(directory: Path, files: Mapping[str, str]) -> None:
    """Raises `BundleDamaged` unless every file is there, can be read, and has its hash."""
    try:
        for name in files:
            if Path(name).name != name or not (directory / name).is_file():
                raise BundleDamaged(f"{name} is missing from {directory}")
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # hashing leaves the interpreter free
            found = list(threads.map(digest, (directory / name for name in files)))
    except OSError as error:  # a disk that fails, a file that others may read
        raise BundleDamaged(f"{directory} cannot be read: {error}") from error
    for (name, expected), actual in zip(files.items(), found, strict=True):
        if actual != expected:
            raise BundleDamaged(f"{name} in {directory} is not the file that was published")
