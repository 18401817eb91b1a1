"""`make audit`: the lockfile is the project's, and no locked package has a known advisory.

Advisories come from where pip-audit finds them. Where that cannot be reached, this says so and
does not fail: what was not looked at is neither good nor bad.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

#: Where `make setup` puts uv on a machine that has none.
UV: Final = shutil.which("uv") or ".tools/uv/bin/uv"
EXPORT: Final = (
    UV, "export", "--frozen", "--all-extras", "--no-dev", "--no-emit-project",
    "--no-header", "--no-annotate", "--quiet",
)  # fmt: skip
AUDIT: Final = (
    sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--require-hashes",
    "--progress-spinner", "off", "--format", "json",
)  # fmt: skip
PATIENCE_S: Final = 600
#: A CI without a way to the advisories must not fail for it, and nobody may take it for a pass.
LOUD: Final = (
    "=" * 72 + "\nWARNING: this run did NOT look for advisories against the locked packages.\n"
    "Its success says nothing about them: type `make audit` where PyPI's advisories or OSV's can\n"
    "be reached, before a release.\n" + "=" * 72
)


def main() -> int:
    """0 when nothing is known against any package, or nothing could be learnt; 1 otherwise."""
    if subprocess.run((UV, "lock", "--check", "--quiet"), check=False).returncode:
        print("uv.lock does not fit pyproject.toml: run `uv lock`.")
        return 1
    with tempfile.TemporaryDirectory() as name:
        locked = Path(name) / "requirements.txt"
        subprocess.run((*EXPORT, "--output-file", str(locked)), check=True)
        return verdict(_audit(locked))


def verdict(found: dict[str, Any] | None) -> int:
    """Prints what pip-audit's report says; `found` is None when it could not make one."""
    packages = found["dependencies"] if found else []
    looked_at = [package for package in packages if "skip_reason" not in package]
    if not looked_at:
        print("NOT AUDITED: no source of advisories can be reached from here. Run this elsewhere.")
        if os.environ.get("CI"):
            print(LOUD, file=sys.stderr)
        return 0
    bad = [(package, one) for package in looked_at for one in package["vulns"]]
    for package, one in bad:
        fixed = ", ".join(one["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {one['id']}; mended in {fixed}")
    print(f"{len(looked_at)} packages audited, {len(packages) - len(looked_at)} unknown, "
          f"{len(bad)} advisories.")  # fmt: skip
    return 1 if bad else 0


def _audit(locked: Path) -> dict[str, Any] | None:
    try:
        ran = subprocess.run(
            (*AUDIT, "--requirement", str(locked)),
            capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        said: dict[str, Any] = json.loads(ran.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return said


if __name__ == "__main__":
    sys.exit(main())
