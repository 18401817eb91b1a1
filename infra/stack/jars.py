"""Fetches the jars of each service with Maven and builds ours, each into a directory of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from infra.stack.errors import StackError
from infra.stack.home import REPOSITORY, jars_directory
from infra.stack.lifecycle import telling_line
from infra.stack.prerequisites import java_home, maven

POM: Final = Path(__file__).with_name("pom.xml")
#: What of the Flink job runs in the JVM: built here, with the jars it needs beside it.
MODULE: Final = REPOSITORY / "streaming" / "jvm"
OURS: Final = "streaming"
PROFILES: Final = ("kafka", "cassandra", "flink", "spark", OURS)
BUILD: Final = ("compiler:compile", "resources:resources", "jar:jar")


def jars(profile: str) -> list[Path]:
    """The jars of one service; raises `StackError` when they were not fetched."""
    found = sorted((jars_directory() / profile).glob("*.jar"))
    if not found:
        raise StackError(f"The jars of {profile} are missing: type `make setup` to fetch them.")
    return found


def jar(profile: str, prefix: str) -> Path:
    """The one jar of a service whose name begins with `prefix`."""
    return next(path for path in jars(profile) if path.name.startswith(prefix))


def is_fetched(profile: str) -> bool:
    """Whether the jars of this very pom.xml are there."""
    stamp = _stamp(profile)
    return stamp.exists() and stamp.read_text() == _fingerprint(profile)


def fetch(profile: str) -> None:
    """Fetch the jars of one service; raises `StackError` when Maven fails."""
    target = jars_directory() / profile
    fresh = target.with_name(f"{profile}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    what = ["dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
    if profile == OURS:
        what = ["-f", str(MODULE / "pom.xml"), *BUILD, *what, "-DincludeScope=runtime"]
    else:
        what = ["-f", str(POM), "-P", profile, *what]
    done = subprocess.run(
        [maven(), "-q", "-B", *what],
        env={**os.environ, "JAVA_HOME": str(java_home())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(
            f"Maven could not fetch the jars of {profile}: {telling_line(done.stdout)} "
            "Check the network, then type `make setup` again."
        )
    if profile == OURS:
        for built in (MODULE / "target").glob("*.jar"):
            shutil.copy(built, fresh)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    _stamp(profile).write_text(_fingerprint(profile))


def main() -> None:
    """Fetch what is missing, a line for each service."""
    try:
        for profile in PROFILES:
            begun = time.monotonic()
            if not is_fetched(profile):
                fetch(profile)
                print(f"  jars of {profile}: {time.monotonic() - begun:.0f} s", flush=True)
    except StackError as failure:
        sys.exit(str(failure))


def _stamp(profile: str) -> Path:
    return jars_directory() / profile / ".fetched"


def _fingerprint(profile: str) -> str:
    sources = [POM]
    if profile == OURS:
        sources = sorted(path for path in MODULE.rglob("*") if path.suffix in (".xml", ".java"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


if __name__ == "__main__":
    main()
