"""The model registry: bundles go up as MLflow model versions, and `@champion` names the one served.

A version holds the bundle's directory and this module's name as its loader: nothing is pickled.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_store.declaration import load
from feature_store.settings import DEFAULT_NAMESPACE, Settings
from feature_store.stores.base import UserState
from models.bundle import Bundle
from models.retrieval import retrieve

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion

CHAMPION: Final = "champion"
BUNDLE_ID: Final = re.compile(r"[0-9a-f]{16}")
#: No retries for minutes, no bars, no lock file of ours in every version.
QUIET: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
#: What a served bundle needs; written into the version so that MLflow does not guess.
REQUIREMENTS: Final = ["lightgbm==4.7.0", "numpy<2.2", "scipy<2", "orjson"]


class RegistryUnavailable(Exception):
    """MLflow did not answer, or refused: keep serving the bundle at hand, try again later."""


@dataclass(frozen=True, slots=True)
class Version:
    """A registered bundle; `metrics` are what its run logged."""

    version: str
    bundle_id: str
    run_id: str
    metrics: Mapping[str, float]


class Registry:
    """The versions of one namespace on one MLflow server."""

    def __init__(self, uri: str, namespace: str = DEFAULT_NAMESPACE, patience_s: int = 10) -> None:
        """`patience_s` bounds each request; imports MLflow, which takes seconds."""
        for name, value in {**QUIET, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(patience_s)}.items():
            os.environ.setdefault(name, value)
        import mlflow

        self.uri = uri
        self.name = "millrace" if namespace == DEFAULT_NAMESPACE else f"millrace-{namespace}"
        mlflow.set_tracking_uri(uri)  # artefact downloads know no other way
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient(tracking_uri=uri)

    def champion(self) -> Version | None:
        """The version that `@champion` names, if there is one; raises `RegistryUnavailable`."""
        with self._answers():
            try:
                return self._version(self._client.get_model_version_by_alias(self.name, CHAMPION))
            except self._mlflow.MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def fetch(self, version: Version, into: Path) -> Path:
        """The version's bundle under `into/<bundle id>`, downloaded unless it lies there."""
        if not BUNDLE_ID.fullmatch(version.bundle_id):
            raise RegistryUnavailable(f"{version.bundle_id!r} is no bundle id")
        final = into / version.bundle_id
        if final.exists():
            return final
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=into) as draft:
            with self._answers():
                fetched = self._mlflow.artifacts.download_artifacts(
                    artifact_uri=f"models:/{self.name}/{version.version}",
                    dst_path=draft,
                    tracking_uri=self.uri,
                )
            try:
                (Path(fetched) / "data" / version.bundle_id).rename(final)
            except OSError:
                if not final.exists():  # else another process was faster
                    raise
        return final

    def publish(
        self,
        bundle: Path,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        reports: Mapping[str, Mapping[str, Any]],
    ) -> Version:
        """Logs a run and registers the bundle as a new version, without moving `@champion`.

        `reports` are JSON artefacts by file name.
        """
        mlflow = self._mlflow
        with self._answers():
            mlflow.set_experiment(self.name)
            with mlflow.start_run(run_name=bundle.name) as run:
                mlflow.log_params(dict(params))
                mlflow.log_metrics(dict(metrics))
                for name, said in reports.items():
                    mlflow.log_dict(dict(said), name)
                logged = mlflow.pyfunc.log_model(
                    name="bundle",
                    loader_module=__name__,
                    data_path=str(bundle),
                    pip_requirements=REQUIREMENTS,
                )
                registered = mlflow.register_model(
                    logged.model_uri, self.name, tags={"bundle_id": bundle.name}
                )
        return Version(str(registered.version), bundle.name, run.info.run_id, dict(metrics))

    def promote(self, version: Version) -> None:
        """Makes a version `@champion`; whoever follows the alias loads it."""
        with self._answers():
            self._client.set_registered_model_alias(self.name, CHAMPION, version.version)

    def _version(self, found: ModelVersion) -> Version:
        run_id = str(found.run_id)
        metrics = self._client.get_run(run_id).data.metrics
        return Version(str(found.version), found.tags["bundle_id"], run_id, dict(metrics))

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except (self._mlflow.MlflowException, OSError) as error:
            raise RegistryUnavailable(
                f"MLflow at {self.uri}: {error}. Check `millrace status`."
            ) from error


def _load_pyfunc(data_path: str) -> _Shelf:
    """What `mlflow.pyfunc.load_model` calls: the loader module's entry point."""
    return _Shelf(Bundle.load(Path(data_path), load(Settings().features)))


@dataclass(frozen=True)
class _Shelf:
    """A bundle as an analyst sees it: user ids in, lists of item ids out, as of the cut."""

    bundle: Bundle

    def predict(self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None) -> Any:
        """The ten best items for each `user_id`, from last night's history alone."""
        return [self._list(str(user)) for user in frame["user_id"]]

    def _list(self, user: str) -> list[str]:
        sources = self.bundle.sources
        found = retrieve(sources, UserState(user), sources.cut_ms)
        best = (-found.blended()).argsort(kind="stable")[:10]
        return [sources.item_ids[position] for position in found.positions[best]]
