"""The packed data sets that benchmarks read; none of them is in this repository."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Final

#: Where they lie unless `MILLRACE_DATA` names another directory.
BESIDE: Final = Path(__file__).parents[1] / "../shared/data"


def packed(name: str) -> tarfile.TarFile:
    """An archive by its file name; exits with a sentence when it is not there."""
    archive = Path(os.environ.get("MILLRACE_DATA", BESIDE)) / name
    if not archive.is_file():
        raise SystemExit(f"No {archive}: set MILLRACE_DATA to the directory that holds it.")
    return tarfile.open(archive)
