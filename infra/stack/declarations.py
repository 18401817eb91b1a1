"""Keeps the declaration a job was submitted with, so that a restart compiles the same one."""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

from feature_store.declaration import DeclarationError, load
from infra.stack.errors import StackError
from infra.stack.files import write_atomically
from infra.stack.home import Home


def freeze(home: Home, module: str) -> dict[str, str]:
    """Copy the module's source as it is now; returns the environment that names the copy.

    Equal sources that declare the same have equal environments. The copy may import, but not
    relatively, and what it imports is not copied. Raises `StackError` when the module cannot be
    found or declares something that cannot be compiled.
    """
    try:
        declared = load(module).fingerprint
    except DeclarationError as wrong:
        raise StackError(str(wrong)) from wrong
    source = _source(module)
    name = f"declared_{hashlib.sha256((declared + source).encode()).hexdigest()[:12]}"
    write_atomically(home.declarations / f"{name}.py", source)
    path = os.pathsep.join(filter(None, (str(home.declarations), os.environ.get("PYTHONPATH"))))
    return {"MILLRACE_FEATURES": name, "PYTHONPATH": path}


def _source(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise StackError(f"MILLRACE_FEATURES={module} has no source file: name a Python file's.")
    return Path(spec.origin).read_text()
