"""What must be on the machine: Java 17, Maven, redis-server, room on the disk."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from infra.stack.errors import StackError

JAVA_VERSION: Final = 17
LEAST_FREE_BYTES: Final = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """One prerequisite as `millrace doctor` shows it; `remedy` is empty when all is well."""

    name: str
    found: str
    remedy: str


@cache
def java_home() -> Path:
    """The home of a full Java 17; raises `StackError` that says how to get one."""
    for candidate in _java_candidates():
        if _is_full_java(candidate):
            return candidate
    raise StackError(
        f"Java {JAVA_VERSION} was not found: {install_command('openjdk-17-jdk-headless')}, "
        "or point JAVA_HOME at one."
    )


def java() -> str:
    """The path of the `java` program."""
    return str(java_home() / "bin" / "java")


def redis_server() -> str:
    """The path of the `redis-server` program; raises `StackError` when there is none."""
    return _program("redis-server", "redis-server")


def maven() -> str:
    """The path of the `mvn` program; raises `StackError` when there is none."""
    return _program("mvn", "maven")


def require_room(directory: Path) -> str:
    """How much the disk under `directory` has free; raises `StackError` when it is nearly full."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        raise StackError(
            f"Only {free / 2**30:.1f} GiB are free under {existing} and the stack needs 2: "
            "make room, or put it elsewhere with MILLRACE_HOME=<directory>."
        )
    return f"{free / 2**30:.0f} GiB free"


def install_command(package: str) -> str:
    """The command that installs a Debian package, as a person types it."""
    if shutil.which("apt-get"):
        prefix = "" if os.geteuid() == 0 else "sudo "
        return f"type `{prefix}apt-get install -y {package}`"
    if shutil.which("brew"):
        formula = {"openjdk-17-jdk-headless": "openjdk@17", "redis-server": "redis"}
        return f"type `brew install {formula.get(package, package)}`"
    return f"install what Debian calls {package}"


def findings(home: Path) -> Iterator[Finding]:
    """All prerequisites, found or missing."""

    def ask(name: str, question: Callable[[], object]) -> Finding:
        try:
            return Finding(name, str(question()), "")
        except StackError as missing:
            return Finding(name, "missing", str(missing))

    yield ask(f"Java {JAVA_VERSION}", java_home)
    yield ask("Maven", maven)
    yield ask("Redis", redis_server)
    yield ask("2 GiB of disk", lambda: require_room(home))


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise StackError(f"{name} was not found: {install_command(package)}.")
    return found


def _java_candidates() -> Iterator[Path]:
    if chosen := os.environ.get("JAVA_HOME"):
        yield Path(chosen)
    if found := shutil.which("java"):
        yield Path(found).resolve().parents[1]
    for directory in ("/usr/lib/jvm", "/opt/homebrew/opt", "/usr/local/opt"):
        yield from sorted(Path(directory).glob("*17*"))


def _is_full_java(home: Path) -> bool:
    try:
        release = (home / "release").read_text()
    except OSError:
        return False
    # Spark 4 needs the vector module, which slimmed-down builds of Java leave out.
    full = re.search(r"^MODULES=.*\bjdk\.incubator\.vector\b", release, re.MULTILINE)
    right = re.search(rf'^JAVA_VERSION="{JAVA_VERSION}\b', release, re.MULTILINE)
    return bool(full and right) and (home / "bin" / "java").exists()
