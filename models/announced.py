"""What serving asks the registry, with no MLflow in its process: who is champion, and its bundle.

Importing MLflow takes 120 MiB of a worker and seconds of processor, which requests would wait for.
So the alias is read from MLflow's REST interface, and a bundle is fetched by a process of its own.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from feature_store.settings import DEFAULT_NAMESPACE, Settings
from models.registry import (
    CHAMPION,
    NOT_THERE,
    Registry,
    RegistryUnavailable,
    Version,
    model_name,
    unavailable,
)

ALIAS: Final = "api/2.0/mlflow/registered-models/alias"
#: MLflow's own variables that say who asks, behind `MLFLOW_TRACKING_`.
WHO: Final = ("USERNAME", "PASSWORD", "TOKEN")
#: How long a bundle may take to come, s.
FETCH_S: Final = 1_800
#: Meanwhile the alias is looked at this often, s.
LOOK_S: Final = 5.0
#: So much (characters) is said of why it did not.
REASON: Final = 600
#: Where a bundle lies while it comes; one that is older than this, s, was left by a kill.
DRAFT: Final = ".fetching-"
LEFT_S: Final = 2 * FETCH_S


class Announced:
    """The champion of one namespace on one MLflow server, as a server's worker needs it."""

    def __init__(self, uri: str, namespace: str = DEFAULT_NAMESPACE, patience_s: int = 10) -> None:
        """`uri` is http or https; who asks is told by it, or by MLflow's own variables."""
        self._uri = uri
        self._namespace = namespace
        self._patience_s = patience_s

    def champion(self) -> Version | None:
        """The version that `@champion` names, without metrics; raises `RegistryUnavailable`."""
        try:
            return self._champion()
        # An answer that is no HTTP, is cut short, or is about something else.
        except (
            OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError
        ) as error:  # fmt: skip
            raise unavailable(self._uri, repr(error)) from None

    def fetch(self, version: Version, into: Path) -> Path:
        """`Registry.fetch`, by a child if need be; raises `RegistryUnavailable`.

        The child works in a directory of ours, so that nothing of it stays when it is killed.
        """
        if (final := version.place(into)).exists():
            return final
        try:
            into.mkdir(parents=True, exist_ok=True)
            _sweep(into)
            with tempfile.TemporaryDirectory(prefix=DRAFT, dir=into) as draft:
                self._child(version, draft)
                version.place(Path(draft)).rename(final)
        except OSError as error:
            if not final.exists():  # else another process was faster
                raise self._did_not_come(version, error) from None
        return final

    def _child(self, version: Version, draft: str) -> None:
        told = {"MILLRACE_MLFLOW": self._uri, "MILLRACE_NAMESPACE": self._namespace}
        with subprocess.Popen(
            [sys.executable, "-m", __name__, version.version, draft],
            env={**os.environ, **told},
            text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as child:  # fmt: skip
            try:
                said = self._wait(child, version)
            finally:
                child.kill()
        if child.returncode:
            last = (said.strip() or "no reason given").splitlines()[-1]
            raise self._did_not_come(version, last)

    def _wait(self, child: subprocess.Popen[str], version: Version) -> str:
        """What it said at its end; nobody waits for a version that is champion no more."""
        ends = time.monotonic() + FETCH_S
        while time.monotonic() < ends:
            try:
                return child.communicate(timeout=LOOK_S)[1]
            except subprocess.TimeoutExpired:
                if self._names_another(version):
                    raise self._did_not_come(version, "it is champion no more") from None
        raise self._did_not_come(version, f"{FETCH_S} s have passed")

    def _names_another(self, version: Version) -> bool:
        try:
            named = self.champion()
        except RegistryUnavailable:
            return False
        return named is None or named.version != version.version

    def _did_not_come(self, version: Version, reason: object) -> RegistryUnavailable:
        said = str(reason)[:REASON]  # of a bundle of thirty files, MLflow has thirty reasons
        return unavailable(self._uri, f"version {version.version} did not come: {said}")

    def _champion(self) -> Version | None:
        said = self._ask()
        if said is None:
            return None
        tags = {tag["key"]: tag["value"] for tag in said.get("tags", ())}
        number, run_id = str(said["version"]), str(said.get("run_id", ""))
        made = int(said.get("creation_timestamp", 0))
        return Version(number, tags["bundle_id"], run_id, {}, tags, (CHAMPION,), made)

    def _ask(self) -> dict[str, Any] | None:
        asked = urllib.parse.urlencode({"name": model_name(self._namespace), "alias": CHAMPION})
        try:
            with urllib.request.urlopen(  # noqa: S310 (`_request` lets http pass alone)
                self._request(asked), timeout=self._patience_s
            ) as answer:
                found: dict[str, Any] = json.loads(answer.read())["model_version"]
                return found
        except urllib.error.HTTPError as refusal:
            said = refusal.read().decode(errors="replace")
            if any(f'"{code}"' in said for code in NOT_THERE):
                return None
            raise unavailable(self._uri, f"{refusal.code} {said[:300]}") from None

    def _request(self, asked: str) -> urllib.request.Request:
        """With the credentials of the address, or of the environment as MLflow reads it."""
        parts = urllib.parse.urlsplit(self._uri)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("serving asks MLflow over http")
        host = parts.netloc.rpartition("@")[2]
        request = urllib.request.Request(  # noqa: S310
            f"{parts.scheme}://{host}{parts.path.rstrip('/')}/{ALIAS}?{asked}"
        )
        told = {name: os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in WHO}
        if user := unquote(parts.username or "") or told["USERNAME"]:
            word = unquote(parts.password or "") or told["PASSWORD"]
            basic = base64.b64encode(f"{user}:{word}".encode()).decode()
            request.add_header("Authorization", f"Basic {basic}")
        elif told["TOKEN"]:
            request.add_header("Authorization", f"Bearer {told['TOKEN']}")
        return request


def _sweep(into: Path) -> None:
    """Removes what processes left that were killed while a bundle came."""
    for draft in into.glob(f"{DRAFT}*"):
        with suppress(FileNotFoundError):  # it came, or somebody else sweeps
            if time.time() - draft.stat().st_mtime > LEFT_S:
                shutil.rmtree(draft, ignore_errors=True)


def _end_with(parent: int) -> None:
    """Ends this process once it has lost its parent, who alone knows what it works for."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)


def main() -> int:
    """Fetches a version into a directory; 1, and a last line that says why, when it could not."""
    os.nice(10)  # requests come first
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    number, into = sys.argv[1:]
    settings = Settings()
    try:
        registry = Registry(settings.mlflow, settings.namespace)
        registry.fetch(registry.version(number), Path(into))
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\n", " "), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
