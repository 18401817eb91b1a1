"""Logs as JSON lines. No user, session or item id is ever logged."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Final

import orjson

from serving.tracing import current

LOGGER: Final = "millrace.serving"
#: The id of the request at hand: every line that is written for it has it.
REQUEST: ContextVar[str] = ContextVar("request", default="")


class JsonFormatter(logging.Formatter):
    """One object a line; `extra={"fields": …}` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if request := REQUEST.get():
            said.setdefault("request", request)
        if trace_id := current():
            said["trace_id"] = trace_id
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(said, default=str).decode()


def configure() -> logging.Logger:
    """The API's own logger, writing to stderr; asking twice changes nothing."""
    logger = logging.getLogger(LOGGER)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger
