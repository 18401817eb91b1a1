"""The model registry: bundles go up as MLflow model versions, and `@champion` names the one served.

A version holds the bundle's directory, the code that answers with it, and this module's name as its
loader: nothing is pickled. Serving takes the directory alone and runs its own code.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version as installed
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import feature_store
import models
from feature_store.declaration import Declaration, load
from feature_store.settings import DEFAULT_NAMESPACE, Settings
from feature_store.stores.base import UserState
from models.bundle import Bundle
from models.tracking import Record, log

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
#: Tags of a version: the night that made it, the bundle it was measured on, and its career (ms).
NIGHT: Final = "night"
MEASURED: Final = "measured"
PROMOTED: Final = "promoted_at"
ROLLED_BACK: Final = "rolled_back_at"
BUNDLE_ID: Final = re.compile(r"[0-9a-f]{16}")
#: Whom an address logs in as, which no message may tell.
CREDENTIALS: Final = re.compile(r"//[^/?#\s]*@")
#: No retries for minutes, no bars, no lock file of ours in every version.
QUIET: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
#: Directories of the layers that answer with a bundle: a version holds them, to load anywhere.
CODE: Final = [layer.__path__[0] for layer in (feature_store, models)]
#: What they import; a version asks for what is installed here, so that MLflow does not guess.
PACKAGES: Final = ("lightgbm", "numpy", "orjson", "pydantic", "pydantic-settings")
NOTHING_SAID: Final = Record()
#: Versions asked for at once.
PAGE: Final = 100
#: What MLflow says of an alias or a version that is not there.
NOT_THERE: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def model_name(namespace: str) -> str:
    """What the model of a namespace is called."""
    return "millrace" if namespace == DEFAULT_NAMESPACE else f"millrace-{namespace}"


class RegistryUnavailable(Exception):
    """MLflow did not answer, or refused: keep serving the bundle at hand, try again later."""


def unavailable(uri: str, reason: object) -> RegistryUnavailable:
    """What to raise for a server that did not do what it was asked, without its credentials."""
    said = f"MLflow at {uri}: {reason}. Check `millrace status`."
    return RegistryUnavailable(CREDENTIALS.sub("//", said))


class UnknownVersion(Exception):
    """A version that is not there; the message says how to find the ones that are."""


@dataclass(frozen=True, slots=True)
class Version:
    """A registered bundle; `metrics` are what its run logged, `created_at` is in ms."""

    version: str
    bundle_id: str
    run_id: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    created_at: int = 0

    def place(self, root: Path) -> Path:
        """Where its bundle lies under `root`, fetched or not; raises `RegistryUnavailable`."""
        if not BUNDLE_ID.fullmatch(self.bundle_id):
            raise RegistryUnavailable(f"{self.bundle_id!r} is no bundle id")
        return root / self.bundle_id

    @property
    def promoted_at(self) -> int | None:
        """When it became `@champion` last (ms); None if it never did."""
        said = self.tags.get(PROMOTED)
        return int(said) if said else None


class Registry:
    """The versions of one namespace on one MLflow server."""

    def __init__(self, uri: str, namespace: str = DEFAULT_NAMESPACE, patience_s: int = 10) -> None:
        """`patience_s` bounds each request; imports MLflow, which takes seconds."""
        for name, value in {**QUIET, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(patience_s)}.items():
            os.environ.setdefault(name, value)
        import mlflow

        self.uri = uri
        self.name = model_name(namespace)
        mlflow.set_tracking_uri(uri)  # artefact downloads know no other way
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient(tracking_uri=uri)

    def champion(self) -> Version | None:
        """The version that `@champion` names, if there is one; raises `RegistryUnavailable`."""
        named = self._client.get_model_version_by_alias
        return self._find(lambda: self._version(named(self.name, CHAMPION), None))

    def versions(self, most: int = 20) -> list[Version]:
        """The newest versions, newest first."""
        with self._answers():
            model = self._model()
            if model is None:
                return []
            return [self._version(one, model) for one in islice(self._all(), most)]

    def version(self, number: str) -> Version:
        """One version by its number, or by `@alias`; raises `UnknownVersion`."""
        find = self._client.get_model_version
        if number.startswith("@"):
            find, number = self._client.get_model_version_by_alias, number[1:]
        found = self._find(lambda: self._version(find(self.name, number), self._model()))
        if found is None:
            raise UnknownVersion(f"{self.name} has no version {number}: `millrace models list`.")
        return found

    def of_night(self, night: str) -> Version | None:
        """The version that a night registered, if it got that far."""
        with self._answers():
            made = (one for one in self._all() if one.tags.get(NIGHT) == night)
            return next((self._version(one, self._model()) for one in made), None)

    def fetch(self, version: Version, into: Path) -> Path:
        """The version's bundle under `into/<bundle id>`, downloaded unless it lies there."""
        return self._download(version, f"models:/{self.name}/{version.version}", "data", into)

    def fetch_measured(self, version: Version, into: Path) -> Path | None:
        """The bundle that this version's figures were measured on, if its night kept one.

        Its sources end before the baskets it was tested on: later nights can test it again.
        """
        bundle_id = version.tags.get(MEASURED)
        if not bundle_id:
            return None
        measured = replace(version, bundle_id=bundle_id)
        return self._download(measured, f"runs:/{version.run_id}/{MEASURED}", "", into)

    def artefact(self, version: Version, path: str, into: Path) -> Path:
        """One file of the version's run, as `tables/outcomes.parquet`, under `into`."""
        into.mkdir(parents=True, exist_ok=True)
        with self._answers():
            found = self._client.download_artifacts(version.run_id, path, str(into))
        return Path(found)

    def publish(
        self,
        bundle: Path,
        record: Record = NOTHING_SAID,
        tags: Mapping[str, str] | None = None,
        measured: Path | None = None,
    ) -> Version:
        """Logs a run and registers the bundle as a new version, without moving an alias.

        `tags` are the version's; `measured` is the bundle that `fetch_measured` will find.
        """
        mlflow, said = self._mlflow, {"bundle_id": bundle.name, **(tags or {})}
        if measured:
            said[MEASURED] = measured.name
        with self._run(record, record.name or bundle.name) as run_id:
            if measured:
                self._client.log_artifacts(run_id, str(measured), f"{MEASURED}/{measured.name}")
            with _same_path():
                logged = mlflow.pyfunc.log_model(
                    name="bundle",
                    loader_module=__name__,
                    data_path=str(bundle),
                    code_paths=CODE,
                    pip_requirements=[f"{name}=={installed(name)}" for name in PACKAGES],
                    signature=_signature(),
                    input_example=_example(),
                )
            found = mlflow.register_model(logged.model_uri, self.name, tags=said)
        return self.version(str(found.version))

    def note(self, record: Record) -> None:
        """Logs a run that registers nothing; one that is there under its name is not repeated."""
        with self._answers():
            experiment = self._mlflow.set_experiment(self.name).experiment_id
            said = f"attributes.run_name = '{record.name}' AND attributes.status = 'FINISHED'"
            if self._client.search_runs([experiment], said, max_results=1):
                return
        with self._run(record, record.name):
            pass

    def challenge(self, version: Version) -> None:
        """Makes a version `@challenger`: the one that was judged last."""
        with self._answers():
            self._client.set_registered_model_alias(self.name, CHALLENGER, version.version)

    def tag(self, version: Version, said: Mapping[str, str]) -> None:
        """Writes tags on a version."""
        with self._answers():
            for name, value in said.items():
                self._client.set_model_version_tag(self.name, version.version, name, value)

    def promote(self, version: Version) -> None:
        """Makes a version `@champion`, in one step; whoever follows the alias loads it.

        A roll-back of it is forgiven. The alias moves last: a champion always has its tag.
        """
        with self._answers():
            self._client.delete_model_version_tag(self.name, version.version, ROLLED_BACK)
        self.tag(version, {PROMOTED: str(_now())})
        with self._answers():
            self._client.set_registered_model_alias(self.name, CHAMPION, version.version)

    def roll_back(self) -> Version:
        """Makes the champion before this one `@champion` again; raises `UnknownVersion`.

        The one that leaves is marked, so that neither a rerun of its night nor a later roll-back
        brings it back.
        """
        leaving = self.champion()
        since = (leaving.promoted_at or _now()) if leaving else 0
        with self._answers():
            good = (one for one in self._all() if ROLLED_BACK not in one.tags)
            promoted = ((int(one.tags.get(PROMOTED, since)), one) for one in good)
            earlier = max((x for x in promoted if x[0] < since), key=lambda x: x[0], default=None)
        if leaving is None or earlier is None:
            raise UnknownVersion(
                f"No champion of {self.name} came before: nothing to roll back to. "
                "`millrace models promote VERSION` names any other version."
            )
        before = self.version(str(earlier[1].version))
        self.tag(leaving, {ROLLED_BACK: str(_now())})
        self.promote(before)
        return self.version(before.version)

    def _all(self) -> Iterator[ModelVersion]:
        """Every version, newest first, page by page."""
        page: str | None = ""
        while page is not None:
            found = self._client.search_model_versions(
                f"name = '{self.name}'", PAGE, ["version_number DESC"], page or None
            )
            yield from found
            page = found.token or None

    def _find(self, look: Callable[[], Version]) -> Version | None:
        with self._answers():
            try:
                return look()
            except self._mlflow.MlflowException as error:
                if error.error_code in NOT_THERE:
                    return None
                raise

    def _model(self) -> RegisteredModel | None:
        """The registered model: it alone knows which aliases name which version."""
        found = self._client.search_registered_models(f"name = '{self.name}'", max_results=1)
        return found[0] if found else None

    def _version(self, found: ModelVersion, model: RegisteredModel | None) -> Version:
        run_id, number = str(found.run_id), str(found.version)
        named = model.aliases.items() if model else ()
        return Version(
            number,
            found.tags["bundle_id"],
            run_id,
            dict(self._client.get_run(run_id).data.metrics),
            dict(found.tags),
            tuple(sorted(alias for alias, version in named if str(version) == number)),
            int(found.creation_timestamp),
        )

    def _download(self, version: Version, uri: str, folder: str, into: Path) -> Path:
        final = version.place(into)
        if final.exists():
            return final
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=into) as draft:
            with self._answers():
                fetched = self._mlflow.artifacts.download_artifacts(
                    artifact_uri=uri, dst_path=draft, tracking_uri=self.uri
                )
            try:
                (Path(fetched) / folder / version.bundle_id).rename(final)
            except OSError:
                if not final.exists():  # else another process was faster
                    raise
        return final

    @contextmanager
    def _run(self, record: Record, name: str) -> Iterator[str]:
        """An open run of that name which says what `record` holds: its id."""
        with self._answers():
            self._mlflow.set_experiment(self.name)
            with self._mlflow.start_run(run_name=name) as run:
                log(record, self._mlflow, self._client, run)
                yield str(run.info.run_id)

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except (self._mlflow.MlflowException, OSError) as error:
            # Without its cause, whose text and whose trace hold the address as it was given.
            raise unavailable(self.uri, error) from None


@contextmanager
def _same_path() -> Iterator[None]:
    """MLflow tries the example out, and leaves the draft's code before ours in `sys.path`."""
    before = sys.path
    try:
        yield
    finally:
        sys.path = before


def _now() -> int:
    return time.time_ns() // 1_000_000


def _signature() -> Any:
    """User ids in, lists of item ids out."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, Schema

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "user_id")]),
        outputs=Schema([ColSpec(Array(DataType.string))]),
    )


def _example() -> pd.DataFrame:
    """What to ask with; somebody unknown gets a list too."""
    import pandas as pd

    return pd.DataFrame({"user_id": ["u1", "u2"]})


def _load_pyfunc(data_path: str) -> _Shelf:
    """What `mlflow.pyfunc.load_model` calls: the loader module's entry point."""
    declaration = load(Settings().features)
    return _Shelf(Bundle.load(Path(data_path), declaration), declaration)


@dataclass(frozen=True)
class _Shelf:
    """A bundle as an analyst sees it: user ids in, lists of item ids out, as of the cut."""

    bundle: Bundle
    declaration: Declaration

    def predict(self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None) -> Any:
        """The ten best items for each `user_id`, from last night's history alone."""
        return [self._list(str(user)) for user in frame["user_id"]]

    def _list(self, user: str) -> list[str]:
        bundle = self.bundle
        found, scores = bundle.answer(self.declaration, UserState(user), bundle.manifest.cut_ms)
        best = (-scores).argsort(kind="stable")[:10]
        return [bundle.item_ids[position] for position in found.positions[best]]
