"""C kernels beside the modules that call them: compiled on this machine, cached by their text.

`kernel(Path(__file__).with_suffix(".c"))` is the library of the C file beside a module.

A compiled file is never shipped or downloaded. The cache belongs to this user alone, and a name in
it is the hash of the source, the flags, the compiler and the processor. Without a compiler there
is no kernel, and callers have a slower way.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_store.locks import alone

log = logging.getLogger("millrace.models")

Address = ctypes.c_void_p | ctypes.Array[ctypes.c_char]

#: No -ffast-math: sums must not depend on how a compiler reorders them.
FLAGS: Final = ("-O3", "-march=native", "-shared", "-fPIC")
COMPILERS: Final = ("cc", "gcc", "clang")
COMPILE_S: Final = 60


@cache
def kernel(source: Path) -> ctypes.CDLL | None:
    """The library of a C file, or None where it cannot be compiled; says so once.

    Its calls keep the interpreter's lock: they take less than the switch to another thread, and
    whoever lets go of it may wait for 5 ms to have it back.
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        log.warning("no C compiler: %s runs slower; install gcc on this machine", source.stem)
        return None
    try:
        return ctypes.PyDLL(str(_compiled(source, compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s does not compile here and runs slower: %r", source.name, error)
        return None


def vouched(source: Path, seal: str, holds: Callable[[], bool]) -> bool:
    """Whether `holds` said yes of this compiled kernel and `seal`, now or before on this machine.

    A yes is kept beside the kernel, where nobody else can write.
    """
    library = kernel(source)
    if library is None:
        return False
    digest = hashlib.sha256(seal.encode()).hexdigest()[:32]
    compiled = Path(library._name)
    kept = compiled.with_suffix(f".{digest}.vouched")
    if kept.exists():
        return True
    with alone(compiled):
        if not kept.exists():
            if not holds():
                return False
            kept.touch()
    return True


def address(array: npt.NDArray[Any], kind: type[np.generic]) -> Address:
    """Where an array's values lie, as a kernel takes it; the caller keeps the array.

    Raises `TypeError` for values of another kind, or with gaps between those of a row: a kernel
    would read something else.
    """
    flags = array.flags
    if array.dtype.type is kind:
        if flags.c_contiguous and flags.writeable:
            return _plain(array)  # type: ignore[arg-type]  # a fifth of what follows
        if array.strides[-1] == array.itemsize or array.shape[-1] < 2:
            return ctypes.c_void_p(array.ctypes.data)
    raise TypeError(f"{array.dtype} in steps of {array.strides}; the kernel reads {kind}")


_plain = (ctypes.c_char * 0).from_buffer


def location(array: npt.NDArray[Any], kind: type[np.generic]) -> int:
    """The same as a number, for a field of a structure."""
    found = address(array, kind)
    return ctypes.addressof(found) if isinstance(found, ctypes.Array) else found.value or 0


def _compiled(source: Path, compiler: str) -> Path:
    headers = (path.read_text() for path in sorted(source.parent.glob("*.h")))
    said = (source.read_text(), *headers, *FLAGS, compiler, _version(compiler), _processor())
    name = f"{source.stem}-{hashlib.sha256(repr(said).encode()).hexdigest()[:32]}"
    target = _cache() / f"{name}.so"
    if not target.exists():
        with alone(target.parent):
            if not target.exists():
                _compile(source, target, compiler)
    return target


def _compile(source: Path, target: Path, compiler: str) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as aside:
        draft = Path(aside) / target.name
        command = [compiler, *FLAGS, "-o", str(draft), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=COMPILE_S)
        draft.replace(target)


def _cache() -> Path:
    """A directory that nobody else can write to; one for this process where there is no home."""
    mine = Path.home() / ".cache" / "millrace" / "kernels"
    try:
        mine.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = mine.stat()
        if seen.st_uid == os.getuid() and not seen.st_mode & 0o022 and os.access(mine, os.W_OK):
            return mine
    except OSError as error:
        log.warning("no cache for compiled kernels: %r", error)
    return Path(tempfile.mkdtemp(prefix="millrace-kernels-"))


def _version(compiler: str) -> str:
    told = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True)
    return told.stdout


def _processor() -> str:
    """What `-march=native` depends on: a cache may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.node()}"
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "Features"))}))
