"""The injector first: every way to spoil a file is one, spares the registry, and ends."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faults.artefacts import DROP, DROP_S, FILES, Artefacts, Spoilt

FILE = b"whole" * 40


class Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(FILE)))
        self.end_headers()
        self.wfile.write(FILE)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def artefacts() -> Iterator[Artefacts]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as behind:
        threading.Thread(target=behind.serve_forever, daemon=True).start()
        artefacts = Artefacts(f"127.0.0.1:{behind.server_port}")
        yield artefacts
        artefacts.close()
        behind.shutdown()


def get(artefacts: Artefacts, path: str = f"{FILES}1/x.npy") -> bytes:
    with urllib.request.urlopen(f"http://{artefacts.address}{path}", timeout=10) as answer:
        found: bytes = answer.read()
        return found


@pytest.mark.parametrize("how", [Spoilt.SHORT, Spoilt.GARBLED])
def test_what_comes_is_not_the_file_and_looks_whole(artefacts: Artefacts, how: Spoilt) -> None:
    with artefacts.fault(how):
        assert get(artefacts) != FILE
        assert get(artefacts, "/api/2.0/mlflow/x") == FILE
    assert get(artefacts) == FILE
    assert artefacts.hurt == 1


@pytest.mark.parametrize(("how", "status"), [(Spoilt.ERROR, 500), (Spoilt.GONE, 404)])
def test_a_file_is_refused(artefacts: Artefacts, how: Spoilt, status: int) -> None:
    with artefacts.fault(how), pytest.raises(urllib.error.HTTPError) as refused:
        get(artefacts)
    assert refused.value.code == status


def test_a_connection_is_cut_in_the_middle_of_a_file(artefacts: Artefacts) -> None:
    with artefacts.fault(Spoilt.CUT), pytest.raises(IncompleteRead) as cut:
        get(artefacts)
    assert 0 < len(cut.value.partial) < len(FILE)


def test_a_file_dribbles(artefacts: Artefacts) -> None:
    begun = time.monotonic()
    with artefacts.fault(Spoilt.DRIBBLES):
        assert get(artefacts) == FILE
    assert time.monotonic() - begun > len(FILE) // DROP * DROP_S


def test_a_file_that_is_held_comes_when_it_is_let_go(artefacts: Artefacts) -> None:
    got: list[bytes] = []
    asking = threading.Thread(target=lambda: got.append(get(artefacts)))
    with artefacts.held():
        asking.start()
        assert artefacts.asked.wait(10)
        assert not got
    asking.join(10)
    assert got == [FILE]
