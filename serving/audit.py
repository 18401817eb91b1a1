"""The audit trail: who used the powers of an administrator, for what, and when."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import orjson

from serving.logs import LOGGER

log = logging.getLogger(LOGGER)


class AuditOut(Exception):
    """The trail cannot be written, so nothing that belongs in it may happen."""


class Audit:
    """One JSON line a deed, appended to a file that all workers share, and to the log."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def record(self, who: str, did: str, **more: str | int | None) -> None:
        """Writes before the deed is done; raises `AuditOut`. `who` is a key's id, never a token."""
        said = {"at": time.time_ns() // 1_000_000, "who": who, "did": did, **more}
        line = orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # One write in append mode: lines of several workers do not mix.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.error("audit trail out", extra={"fields": {"reason": repr(error)}})
            raise AuditOut("the audit trail cannot be written") from error
        log.info("audit", extra={"fields": {"who": who, "did": did, **more}})
