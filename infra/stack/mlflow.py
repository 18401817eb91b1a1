"""The model registry: MLflow's tracking server on SQLite and local artefacts."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar, Final

from infra.stack.errors import StackError
from infra.stack.http import get_status
from infra.stack.ports import LOOPBACK
from infra.stack.service import Service

MAKE_TABLES: Final = """
import sys
from mlflow import MlflowClient
MlflowClient(sys.argv[1], sys.argv[1]).search_experiments(max_results=1)
"""


class MLflow(Service):
    """MLflow's application directly under uvicorn.

    `mlflow server` starts this same process after six seconds of its own and stays in memory
    (270 MiB) to watch it; the supervisor already does that.
    """

    name: ClassVar[str] = "mlflow"
    ports_used: ClassVar[tuple[str, ...]] = ("mlflow",)

    @property
    def link(self) -> str:
        """The tracking URI, which is also the address of the UI."""
        return f"http://{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Make its directory, and its database, whole or not at all.

        The server would make the tables at its first requests, two of which race each other.
        """
        (self.data / "artifacts").mkdir(parents=True, exist_ok=True)
        database, unfinished = self.data / "mlflow.db", self.data / "mlflow.db.new"
        if not database.exists():
            unfinished.unlink(missing_ok=True)
            make = [sys.executable, "-c", MAKE_TABLES, f"sqlite:///{unfinished}"]
            done = subprocess.run(make, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise StackError(f"MLflow could not make its database: {done.stderr[-300:]}")
            unfinished.rename(database)

    def command(self) -> list[str]:
        """One worker."""
        server = [
            "--host",
            LOOPBACK,
            "--port",
            str(self.port),
            "--log-level",
            "warning",
        ]
        return [
            sys.executable,
            "-m",
            "uvicorn",
            *server,
            "mlflow.server.fastapi_app:app",
        ]

    def extra_environment(self) -> dict[str, str]:
        """What `mlflow server --serve-artifacts` would pass to its worker (MLflow 3.17)."""
        return {
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{self.data}/mlflow.db",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(self.data / "artifacts"),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONWARNINGS": "ignore",
        }

    def answers(self) -> bool:
        """The server is healthy and its database answers."""
        query = "/api/2.0/mlflow/experiments/get?experiment_id=0"
        return self.listens() and all(
            get_status(self.link + path, timeout_s=5) == 200 for path in ("/health", query)
        )
