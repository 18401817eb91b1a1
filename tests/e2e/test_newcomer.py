"""A newcomer reads the README and types what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Pipeline

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
#: Commands that start the demo, the tests or a stack of their own: only their target must exist.
LONG = re.compile(r"^make (\w+)", re.M)


def targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))


def test_the_readme_has_commands() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("target", [t for block in BLOCKS for t in LONG.findall(block)])
def test_a_make_target_of_the_readme_exists(target: str) -> None:
    assert target in targets()


@pytest.mark.parametrize("block", [b for b in BLOCKS if not LONG.search(b)], ids=lambda b: b[:40])
def test_a_block_of_the_readme_runs(pipeline: Pipeline, block: str) -> None:
    if "curl " in block and shutil.which("curl") is None:
        pytest.skip("curl is not installed here: `apt-get install -y curl` to run this block too")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=ROOT,
        env=pipeline.stack.children_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert '"status":4' not in done.stdout
