"""The model registry: MLflow's tracking server on SQLite and local artefacts."""

from __future__ import annotations

import sys
from typing import ClassVar

from infra.stack.http import get_status
from infra.stack.ports import LOOPBACK
from infra.stack.service import Service


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
        """Make its directory."""
        (self.data / "artifacts").mkdir(parents=True, exist_ok=True)

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
