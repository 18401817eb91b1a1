"""`millrace keys`: what is printed, what is kept, what is noted."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from infra.commands.keys import keys
from infra.stack.errors import StackError
from serving.keys import KeyRing

RUN = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    return tmp_path


def test_a_key_lives_from_create_to_revoke(home: Path) -> None:
    made = RUN.invoke(keys, ["create", "shop", "--scope", "read", "--user", "718", "--days", "9"])
    token = made.stdout.strip().splitlines()[-1]
    ring = KeyRing(home / "keys.json")
    ring.refresh()
    key = ring.find(token)
    assert (key.scopes, key.user) == ({"read"}, "718")
    listed = RUN.invoke(keys, ["list"]).stdout
    assert key.id in listed
    assert token.split("_", 2)[2] not in listed
    assert "opens nothing" in RUN.invoke(keys, ["revoke", key.id]).output
    trail = (home / "audit.jsonl").read_text()
    assert [orjson.loads(line)["did"] for line in trail.splitlines()] == [
        "keys create",
        "keys revoke",
    ]
    assert token.split("_", 2)[2] not in trail


def test_what_cannot_be_done_is_one_sentence(home: Path) -> None:
    unknown = RUN.invoke(keys, ["revoke", "000000000000"])
    assert isinstance(unknown.exception, StackError)
    wrong = RUN.invoke(keys, ["create", "x" * 65])
    assert "name" in str(wrong.exception)
    (home / "keys.json").write_text("{")
    for command in (["list"], ["create", "shop"], ["revoke", "0"]):
        assert "restore it" in str(RUN.invoke(keys, command).exception)
