"""Runs a Spark job of the batch layer on this machine through `spark-submit`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from infra.stack.errors import StackError
from infra.stack.home import REPOSITORY
from infra.stack.jars import jars
from infra.stack.ports import LOOPBACK
from infra.stack.process import SERVICE_MARK
from infra.stack.stack import Stack

NIGHTLY: Final = REPOSITORY / "batch" / "nightly.py"
TUNE: Final = REPOSITORY / "batch" / "tune.py"
RELAND: Final = REPOSITORY / "batch" / "reland.py"
DRIVER_MEMORY: Final = "2g"
# One short job on few cores: what a second compiler and parallel collectors gain, they cost first.
# The heap that a stage needed is given back when it is collected, all at once.
DRIVER_OPTIONS: Final = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
    "-XX:MinHeapFreeRatio=20 -XX:MaxHeapFreeRatio=40 -XX:-ShrinkHeapInSteps"
)


def spark_submit(stack: Stack, script: Path, arguments: Sequence[str] = ()) -> None:
    """Run `script` and wait for it, its output on the terminal; raises `StackError` on failure."""
    environment = {
        **stack.children_environment(),
        SERVICE_MARK: script.stem,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": LOOPBACK,
    }
    done = subprocess.run([*_command(stack), str(script), *arguments], env=environment, check=False)
    if done.returncode != 0:
        raise StackError(
            f"{script.name} failed with exit code {done.returncode}: the reason is printed above."
        )


def _command(stack: Stack) -> list[str]:
    options = {
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(stack.home.root / "spark-warehouse"),
        "spark.local.dir": str(stack.home.data("spark")),
    }
    return [
        *(str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]"),
        *(
            "--driver-memory",
            DRIVER_MEMORY,
            "--driver-java-options",
            DRIVER_OPTIONS,
            "--jars",
            ",".join(str(path) for path in jars("spark")),
        ),
        *(word for key, value in options.items() for word in ("--conf", f"{key}={value}")),
    ]
