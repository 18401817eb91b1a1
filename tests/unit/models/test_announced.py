"""What serving asks MLflow over http: as whom, and what it need not fetch again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from models.announced import Announced
from models.registry import RegistryUnavailable, Version

BUNDLE = "0123456789abcdef"
SAID = {"model_version": {"version": "3", "tags": [{"key": "bundle_id", "value": BUNDLE}]}}


class MLflow(HTTPServer):
    """Answers everything with one version, and keeps who asked."""

    asked: str | None = None


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, MLflow)
        self.server.asked = self.headers["Authorization"]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(SAID).encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MLflow]:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    with MLflow(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("who", "told", "header"),
    [
        ("", {}, None),
        ("ann:s%40lt@", {}, "Basic YW5uOnNAbHQ="),
        ("", {"USERNAME": "ann", "PASSWORD": "s@lt"}, "Basic YW5uOnNAbHQ="),
        ("", {"TOKEN": "t"}, "Bearer t"),
    ],
    ids=["nobody", "the address", "the environment", "a token"],
)
def test_mlflow_is_asked_as_whom_it_is_told(
    server: MLflow, who: str, told: dict[str, str], header: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    champion = Announced(f"http://{who}127.0.0.1:{server.server_port}").champion()
    assert server.asked == header
    assert champion is not None
    assert (champion.version, champion.bundle_id) == ("3", BUNDLE)


def test_a_bundle_that_lies_there_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    (tmp_path / BUNDLE).mkdir()
    nobody = Announced("http://127.0.0.1:9")
    assert nobody.fetch(Version("3", BUNDLE, "run", {}), tmp_path) == tmp_path / BUNDLE


def test_what_is_no_bundle_id_names_no_directory(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailable, match="no bundle id"):
        Announced("http://127.0.0.1:9").fetch(Version("3", "..", "run", {}), tmp_path)


def test_a_server_loads_without_mlflow() -> None:
    said = "import serving.app, sys; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0
