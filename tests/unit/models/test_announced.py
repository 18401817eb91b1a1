"""What serving asks MLflow over http: as whom, and what it need not fetch again."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from models import announced
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
    monkeypatch.setattr(subprocess, "Popen", None)
    (tmp_path / BUNDLE).mkdir()
    nobody = Announced("http://127.0.0.1:9")
    assert nobody.fetch(Version("3", BUNDLE, "run", {}), tmp_path) == tmp_path / BUNDLE


def test_what_is_no_bundle_id_names_no_directory(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailable, match="no bundle id"):
        Announced("http://127.0.0.1:9").fetch(Version("3", "..", "run", {}), tmp_path)


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\xffgarbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b'HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n{"model_version":{"version":"3"}}',
        b"HTTP/1.1 500 no\r\nContent-Length: 900\r\n\r\nno",
        b"",
    ],
    ids=["no http", "cut short", "no object", "no tags", "half a refusal", "nothing"],
)
def test_a_server_that_answers_nonsense_is_unavailable(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer_once, args=(listener, answer), daemon=True).start()
        with pytest.raises(RegistryUnavailable, match="millrace status"):
            Announced(f"http://127.0.0.1:{listener.getsockname()[1]}").champion()


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(answer)


def child(where: Path, does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for the process that fetches: version $3 into $4."""
    script = where / "child"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


WANTED = Version("4", BUNDLE, "run", {})


def test_what_the_child_brings_is_put_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(tmp_path, f"mkdir $4/{BUNDLE}", monkeypatch)
    assert Announced("http://127.0.0.1:9").fetch(WANTED, tmp_path / "shelf").is_dir()
    assert [path.name for path in (tmp_path / "shelf").iterdir()] == [BUNDLE]


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("echo one >&2; echo No space left >&2; exit 1", "No space left"),
        ("exit 1", "no reason given"),
        ("exit 0", "No such file"),
        ("kill -9 $$", "no reason given"),
        ("exec sleep 60", "champion no more"),
    ],
)
def test_of_a_bundle_that_does_not_come_nothing_stays(
    server: MLflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, reason: str
) -> None:
    child(tmp_path, f"mkdir -p $4/.fetching-x/part; {does}", monkeypatch)
    if "sleep" in does:
        monkeypatch.setattr(announced, "LOOK_S", 0.1)
    with pytest.raises(RegistryUnavailable, match=f"version 4 did not come: .*{reason}"):
        Announced(f"http://127.0.0.1:{server.server_port}").fetch(WANTED, tmp_path / "shelf")
    assert not list((tmp_path / "shelf").iterdir())


def test_a_child_that_takes_for_ever_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(announced, "LOOK_S", 0.1)
    monkeypatch.setattr(announced, "FETCH_S", 0.3)
    with pytest.raises(RegistryUnavailable, match=r"0\.3 s have passed"):
        Announced("http://127.0.0.1:9").fetch(WANTED, tmp_path / "shelf")
    assert not list((tmp_path / "shelf").iterdir())


def test_what_a_killed_server_left_is_swept_once_nobody_can_be_at_work_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young = tmp_path / "shelf" / ".fetching-old", tmp_path / "shelf" / ".fetching-young"
    for draft in (old, young):
        (draft / BUNDLE).mkdir(parents=True)
    os.utime(old, (0, 0))
    child(tmp_path, f"mkdir $4/{BUNDLE}", monkeypatch)
    Announced("http://127.0.0.1:9").fetch(WANTED, tmp_path / "shelf")
    assert (old.exists(), young.exists()) == (False, True)


def test_a_shelf_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("a file")
    with pytest.raises(RegistryUnavailable, match=r"did not come: .*File exists"):
        Announced("http://127.0.0.1:9").fetch(WANTED, tmp_path / "shelf")


def test_a_server_loads_without_mlflow() -> None:
    said = "import serving.app, sys; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0
