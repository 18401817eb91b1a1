"""What a starting server does not wait for."""

from __future__ import annotations

import subprocess
import sys


def test_the_app_is_imported_without_what_only_the_night_needs() -> None:
    asked = "import sys, serving.app; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert not {"scipy", "lightgbm", "mlflow", "pandas", "pyspark"} & set(done.stdout.split())
