"""The file of keys: what is kept, what is not, and how workers follow it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from serving import keys
from serving.keys import KeyRefused, KeyRing, KeysUnreadable, Scope

READ = frozenset({Scope.READ})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_the_file_holds_no_secret_and_is_its_owners_alone(path: Path) -> None:
    _, token = keys.create(path, "shop", READ, None, None)
    assert token.split("_", 2)[2] not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_tokens_are_never_the_same(path: Path) -> None:
    tokens = {keys.create(path, "shop", READ, None, None)[1] for _ in range(20)}
    assert len(tokens) == 20


def test_workers_follow_the_file(path: Path) -> None:
    worker = KeyRing(path)
    worker.refresh()
    key, token = keys.create(path, "shop", READ, "718", 1)
    with pytest.raises(KeyRefused, match="no key of this server"):
        worker.find(token)
    worker.refresh()
    assert worker.find(token) == key
    keys.revoke(path, key.id)
    worker.refresh()
    with pytest.raises(KeyRefused, match="revoked"):
        worker.find(token)


def test_without_the_file_nothing_opens(path: Path) -> None:
    worker = KeyRing(path)
    _, token = keys.create(path, "shop", READ, None, None)
    worker.refresh()
    path.unlink()
    worker.refresh()
    with pytest.raises(KeyRefused):
        worker.find(token)


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"keys": [{"id": "x"}]}', b"\xff"])
def test_a_damaged_file_leaves_the_last_good_keys(path: Path, damage: bytes) -> None:
    worker = KeyRing(path)
    key, token = keys.create(path, "shop", READ, None, None)
    worker.refresh()
    path.write_bytes(damage)
    for _ in range(2):
        with pytest.raises(KeysUnreadable, match="restore it"):
            worker.refresh()
    assert worker.find(token) == key
    with pytest.raises(KeysUnreadable):
        keys.create(path, "shop", READ, None, None)
    assert path.read_bytes() == damage


def test_an_expired_key_says_so(path: Path) -> None:
    worker = KeyRing(path)
    _, token = keys.create(path, "shop", READ, None, 0)
    worker.refresh()
    with pytest.raises(KeyRefused, match="expired"):
        worker.find(token)


def test_revoking_twice_keeps_the_first_time_and_an_unknown_id_is_said(path: Path) -> None:
    key, _ = keys.create(path, "shop", READ, None, None)
    first = keys.revoke(path, key.id)
    assert first
    assert keys.revoke(path, key.id) == first
    assert keys.revoke(path, "000000000000") is None


def test_keys_made_side_by_side_are_all_kept(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: keys.create(path, str(n), READ, None, None)[0], range(40)))
    assert {key.id for key in keys.read(path)} == {key.id for key in made}


def test_a_key_that_would_open_nothing_is_not_made(path: Path) -> None:
    with pytest.raises(ValidationError):
        keys.create(path, "shop", frozenset(), None, None)
    assert not path.exists()
