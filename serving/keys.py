"""API keys: random, shown once, kept as hashes in one file that every worker reads again."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feature_store.events import Identifier
from feature_store.tiles import DAY_MS

#: A token reads `mr_<key id>_<secret>`; secret scanners find it by its start.
PREFIX: Final = "mr"
SECRET_BYTES: Final = 32


class Scope(StrEnum):
    """What a key may do. None of them includes another."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class KeyRefused(Exception):
    """A token that opens nothing; the message says why, without the token."""


class KeysUnreadable(Exception):
    """The file of keys is damaged; the message says what to do."""


class ApiKey(BaseModel):
    """One key as it is kept. The secret is random enough for one plain SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str = Field(pattern="^[0-9a-f]{12}$")
    name: str = Field(min_length=1, max_length=64, description="For people: who has it.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: frozenset[Scope] = Field(min_length=1)
    user: Identifier | None = Field(None, description="The one user it sees; None for all.")
    created_at: int = Field(description="ms since the epoch, as all times here.")
    expires_at: int | None = None
    revoked_at: int | None = None
    per_s: float | None = Field(None, gt=0, description="Its own quota instead of the setting.")
    burst: int | None = Field(None, ge=1)

    def closed(self, now_ms: int) -> str | None:
        """Why it opens nothing any more, if so."""
        if self.revoked_at is not None:
            return "The key was revoked."
        if self.expires_at is not None and self.expires_at <= now_ms:
            return "The key has expired."
        return None


class KeyFile(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid")
    keys: list[ApiKey] = []


class Stamp(NamedTuple):
    """Changes when the file is replaced."""

    modified_ns: int
    inode: int
    size: int


class KeyRing:
    """The keys of one process: read again when the file changes, so a revocation soon holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._keys: dict[str, ApiKey] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def refresh(self) -> None:
        """Follows the file; without one there are no keys.

        Raises `KeysUnreadable` and keeps the last good keys when the file is damaged.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._keys = {key.id: key for key in read(self._path)}
        self._stamp = stamp

    def find(self, token: str) -> ApiKey:
        """The key that a token opens with; raises `KeyRefused`."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._keys.get(key_id)
        if prefix != PREFIX or key is None or not hmac.compare_digest(key.sha256, _hash(secret)):
            raise KeyRefused("This is no key of this server.")
        if reason := key.closed(time.time_ns() // 1_000_000):
            raise KeyRefused(reason)
        return key


def read(path: Path) -> Sequence[ApiKey]:
    """The keys in a file, none without one; raises `KeysUnreadable`."""
    try:
        return KeyFile.model_validate_json(path.read_bytes()).keys
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as error:
        kind = type(error).__name__  # its text would quote the file
        raise KeysUnreadable(f"{path} is no file of keys ({kind}): restore it.") from None


def create(
    path: Path, name: str, scopes: frozenset[Scope], user: str | None, days: int | None,
    per_s: float | None = None, burst: int | None = None,
) -> tuple[ApiKey, str]:  # fmt: skip
    """A new key, kept in the file, and its token, which is kept nowhere.

    Raises pydantic's `ValidationError` when the key would be none.
    """
    now, secret = time.time_ns() // 1_000_000, secrets.token_urlsafe(SECRET_BYTES)
    key = ApiKey(
        id=secrets.token_hex(6),
        name=name,
        sha256=_hash(secret),
        scopes=scopes,
        user=user,
        created_at=now,
        expires_at=None if days is None else now + days * DAY_MS,
        per_s=per_s,
        burst=burst,
    )
    with _locked(path):
        _write(path, [*read(path), key])
    return key, f"{PREFIX}_{key.id}_{secret}"


def revoke(path: Path, key_id: str) -> ApiKey | None:
    """Closes a key for good; None when there is no such key. The record stays."""
    now = time.time_ns() // 1_000_000
    with _locked(path):
        keys = {key.id: key for key in read(path)}
        found = keys.get(key_id)
        if found is None:
            return None
        if found.revoked_at is None:
            keys[key_id] = found.model_copy(update={"revoked_at": now})
            _write(path, list(keys.values()))
        return keys[key_id]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return Stamp(found.st_mtime_ns, found.st_ino, found.st_size)


def _write(path: Path, keys: list[ApiKey]) -> None:
    """Whole or not at all, and for the owner's eyes only."""
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(KeyFile(keys=keys).model_dump_json(indent=2).encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
