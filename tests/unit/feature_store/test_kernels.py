"""A kernel is told where values lie only if they are what it reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from feature_store.kernels import location

TABLE = np.zeros((4, 6), np.float32)


@pytest.mark.parametrize("array", [TABLE, TABLE[:, 2:4], TABLE[:, 0:1], TABLE[:0], TABLE[0]])
def test_rows_without_gaps_have_an_address(array: npt.NDArray[np.float32]) -> None:
    assert location(array, np.float32) == array.ctypes.data


def test_what_may_not_be_written_has_an_address_too() -> None:
    mapped = TABLE.copy()
    mapped.flags.writeable = False
    assert location(mapped, np.float32) == mapped.ctypes.data


@pytest.mark.parametrize("array", [TABLE[:, ::2], TABLE[:, 0], TABLE.astype(np.float64)])
def test_other_values_and_gaps_have_none(array: npt.NDArray[np.floating]) -> None:
    with pytest.raises(TypeError, match="the kernel reads"):
        location(array, np.float32)


def test_processes_that_start_together_compile_once(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here: `apt-get install -y gcc`")
    calls, source, slow = tmp_path / "calls", tmp_path / "one.c", tmp_path / "cc"
    source.write_text("int one(void) { return 1; }\n")
    slow.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] || {{ echo once >> {calls}; sleep 0.5; }}\n'
        f'exec {compiler} "$@"\n'
    )
    slow.chmod(0o755)
    asks = f"from feature_store.kernels import *; print(kernel(Path({str(source)!r})).one())"
    environment = os.environ | {
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
    }
    starting = [
        subprocess.Popen([sys.executable, "-c", asks], env=environment, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0] for process in starting] == [b"1\n"] * 3
    assert calls.read_text().split() == ["once"]
